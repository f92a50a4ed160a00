"""Import every module of the installed packages without any extra, and check that the installation is the wheel's."""

import importlib
import pkgutil
from importlib.metadata import files
from pathlib import Path

from ctgrid.base.errors import CtgridError
from ctgrid.base.extras import EXTRAS, require

for package in (package for packages in EXTRAS.values() for package in packages):
    try:
        require(package)
    except CtgridError:
        continue
    raise SystemExit(f"{package} is here without its extra: a clean environment proves nothing")

names = []
for package in ("ctgrid", "ctgrid_cli", "ctgrid_configs"):
    module = importlib.import_module(package)
    assert "site-packages" in Path(module.__file__ or "").parts, f"{package} comes from {module.__file__}"
    names += [package, *(found.name for found in pkgutil.walk_packages(module.__path__, f"{package}."))]
for name in names:
    if not name.endswith((".__main__", ".monai_transforms")):  # that runs the command, this is all MONAI's
        importlib.import_module(name)

installed = [str(file) for file in files("ctgrid") or []]
tops = {file.split("/")[0] for file in installed}
assert not tops & {"cli", "configs", "tests"}, f"folders that do not belong into site-packages: {tops}"
for wanted in (
    "ctgrid/py.typed",
    "ctgrid/stages/models/embedded/LICENSE",
    "ctgrid/stages/models/embedded/MODEL_CARD.md",
):
    assert wanted in installed, f"the wheel lacks {wanted}"
print(f"imported {len(names)} modules from the wheel")
