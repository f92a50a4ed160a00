"""Extras: the table against pyproject.toml and every import, and what is said where one is missing."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ctgrid.base import extras
from ctgrid.base.errors import CtgridError
from ctgrid.base.extras import EXTRAS, require

ROOT = Path(__file__).resolve().parents[2]
OURS = [*(ROOT / "ctgrid").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]
PACKAGES = {package for packages in EXTRAS.values() for package in packages}


def declared() -> dict[str, list[Requirement]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {name: [Requirement(line) for line in lines] for name, lines in project["optional-dependencies"].items()}


def test_the_table_is_that_of_pyproject() -> None:
    written = declared()
    for extra, packages in EXTRAS.items():
        brings = {canonicalize_name(one.name) for one in written[extra]} - {"ctgrid"}
        assert brings == {canonicalize_name(package) for package in packages}, extra
    (everything,) = written["all"]
    assert everything.name == "ctgrid" and everything.extras == set(EXTRAS)
    assert any(one.name == "ctgrid" and "all" in one.extras for one in written["test"])


def test_no_package_of_an_extra_is_everybodys() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    everybodys = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    assert not everybodys & {canonicalize_name(package) for package in PACKAGES}


def unguarded(tree: ast.Module) -> Iterator[str]:
    """Yield the extras' packages that a file imports where nothing in the same function, or file, requires them."""

    def visit(node: ast.AST, required: frozenset[str]) -> Iterator[str]:
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                return
        if isinstance(node, ast.Module | ast.FunctionDef):
            required |= {named for child in ast.walk(node) if scope[child] is node and (named := asked(child))}
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        yield from {name.split(".")[0] for name in names} & PACKAGES - required
        for child in ast.iter_child_nodes(node):
            yield from visit(child, required)

    scope: dict[ast.AST, ast.AST] = {}

    def place(node: ast.AST, owner: ast.AST) -> None:
        scope[node] = owner
        for child in ast.iter_child_nodes(node):
            place(child, node if isinstance(node, ast.FunctionDef) else owner)

    place(tree, tree)
    yield from visit(tree, frozenset())


def asked(node: ast.AST) -> str | None:
    """Return the package that a call of ``require`` names."""
    match node:
        case ast.Call(func=ast.Name(id="require"), args=[ast.Constant(value=str(module)), *_]):
            return module.split(".")[0]
    return None


def test_every_import_of_an_extras_package_is_required_first() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in OURS}
    some = re.compile(rf"\b(import|from|require\(.)\s*({'|'.join(PACKAGES)})\b")  # parsing all takes seconds
    trees = {path: ast.parse(text) for path, text in texts.items() if some.search(text)}
    found = [f"{path.relative_to(ROOT)}: {name}" for path, tree in trees.items() for name in unguarded(tree)]
    assert found == []
    required = {asked(node) for tree in trees.values() for node in ast.walk(tree)} - {None}
    assert required == PACKAGES, "an extra's package that nothing needs, or a need that no extra meets"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def f():\n    import zarr", ["zarr"]),
        ("def f():\n    require('zarr')\n    import zarr.codecs", []),
        ("def f():\n    require('zarr')\ndef g():\n    from zarr import Group", ["zarr"]),
        ("require('monai')\nfrom monai.data import MetaTensor", []),
        ("if TYPE_CHECKING:\n    import zarr", []),
        ("from numpy import array", []),
    ],
)
def test_the_walk_itself(text: str, found: list[str]) -> None:
    assert list(unguarded(ast.parse(text))) == found


def test_a_package_that_is_there_is_returned() -> None:
    import zarr.codecs

    assert require("zarr") is zarr and require("zarr.codecs") is zarr.codecs


@pytest.mark.parametrize("module", ["distributed", "zarr.codecs", "google_crc32c"])
def test_a_missing_package_names_the_pip_line(module: str, without: Callable[..., None]) -> None:
    package = module.split(".")[0]
    extra = "cluster" if package == "distributed" else "store"
    without(package)
    with pytest.raises(CtgridError) as caught:
        require(module)
    assert str(caught.value) == (
        f"{package} is not installed; this needs the extra '{extra}': pip install 'ctgrid[{extra}]'"
    )


def test_a_package_that_is_there_and_broken_is_no_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> ModuleType:
        raise ModuleNotFoundError("No module named 'fsspec'", name="fsspec")

    monkeypatch.setattr(extras, "import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="fsspec"):
        require("zarr")


def test_monai_transforms_without_monai(without: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ctgrid.data.monai_transforms", raising=False)
    without("monai")
    with pytest.raises(CtgridError, match=r"pip install 'ctgrid\[monai\]'"):
        import ctgrid.data.monai_transforms  # noqa: F401


def test_prepare_says_so_before_it_looks_for_scans(without: Callable[..., None], tmp_path: Path) -> None:
    from ctgrid.data.store.prepare import prepare
    from ctgrid.data.store.settings import StoreSettings

    without("distributed")
    with pytest.raises(CtgridError, match=r"ctgrid\[cluster\]"):
        prepare([tmp_path / "nothing"], tmp_path / "X.zarr", StoreSettings(), workers=2)
    without("zarr")
    with pytest.raises(CtgridError, match=r"ctgrid\[store\]"):
        prepare([tmp_path / "nothing"], tmp_path / "X.zarr", StoreSettings())
    assert not list(tmp_path.iterdir())


def test_a_store_is_not_called_damaged_where_what_reads_it_is_missing(
    make_store: Callable[..., Any], without: Callable[..., None], tmp_path: Path
) -> None:
    from ctgrid.data.store.shards import Shard

    volume = make_store(tmp_path / "X.zarr", "a").volume("a")
    for package, read in (
        ("zarr", volume.read_slices),
        ("numcodecs", lambda: Shard.open(volume.path / "slices").read([0])),
        ("google_crc32c", lambda: Shard.open(volume.path / "slices")),
    ):
        without(package)
        with pytest.raises(CtgridError, match=r"^" + package + r" is not installed.*ctgrid\[store\]"):
            read()
