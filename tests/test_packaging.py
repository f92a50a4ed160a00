"""The project installs, ships and documents what it says it does."""

from __future__ import annotations

import ast
import importlib.metadata as metadata
import importlib.resources as resources
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ctgrid.base.extras import EXTRAS

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WEIGHTS_LIMIT_BYTES = 64_000_000


def requirements(*, extras: bool = True) -> list[Requirement]:
    """Read the dependencies in pyproject.toml, with those of all extras or without."""
    listed = list(PROJECT["project"]["dependencies"])
    for wanted in PROJECT["project"]["optional-dependencies"].values() if extras else ():
        listed += wanted
    return [wanted for wanted in map(Requirement, listed) if wanted.name != "ctgrid"]  # an extra may name others


def pins() -> dict[str, Requirement]:
    """Read constraints.txt: the lines that hold for this Python, by canonical name."""
    lines = [line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()]
    parsed = [Requirement(line) for line in lines if line]
    return {canonicalize_name(r.name): r for r in parsed if r.marker is None or r.marker.evaluate()}


def tree_files() -> list[Path]:
    """List the files that git tracks or would track."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: what belongs to the tree is unknown")
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


# --- what is packaged


def test_package_list_equals_the_tree() -> None:
    setup = PROJECT["tool"]["setuptools"]
    folders = {**{name: name.replace(".", "/") for name in setup["packages"]}, **setup["package-dir"]}
    found = {p.parent for top in ("ctgrid", "cli", "configs") for p in (ROOT / top).rglob("__init__.py")}
    assert {ROOT / folder for folder in folders.values()} == found
    modules = {p.parent for top in ("ctgrid", "cli", "configs") for p in (ROOT / top).rglob("*.py")}
    assert modules == found, "a folder with modules lacks its __init__.py"


def test_configs_are_read_as_package_resources() -> None:
    shipped = {f.name for f in resources.files("ctgrid_configs").iterdir() if f.name.endswith(".yaml")}
    assert shipped == {f.name for f in (ROOT / "configs").glob("*.yaml")}
    assert {"embedded-codec.yaml", "embedded-stage1.yaml", "embedded-stage2.yaml"} <= shipped


def test_version_is_that_of_the_installed_package_and_of_the_changelog() -> None:
    version = PROJECT["project"]["version"]
    assert metadata.version("ctgrid") == version
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_embedded_weights_stay_small_and_carry_their_papers() -> None:
    folder = ROOT / "ctgrid/stages/models/embedded"
    assert "Attribution 4.0 International" in (folder / "LICENSE").read_text(encoding="utf-8")
    assert (folder / "MODEL_CARD.md").is_file()
    weights = list(folder.rglob("*.safetensors"))
    if not weights:
        pytest.skip("no embedded weights in this checkout")
    assert sum(file.stat().st_size for file in weights) <= WEIGHTS_LIMIT_BYTES


def test_large_files_are_embedded_weights_only() -> None:
    large = [p.relative_to(ROOT).as_posix() for p in tree_files() if p.stat().st_size > 3_000_000]
    assert [name for name in large if not name.startswith("ctgrid/stages/models/embedded/")] == []


# --- what is installed


def test_every_dependency_is_pinned_exactly_and_its_range_admits_the_pin() -> None:
    pinned = pins()
    for wanted in requirements():
        pin = pinned[canonicalize_name(wanted.name)]
        (specifier,) = pin.specifier
        assert specifier.operator == "==", pin
        assert specifier.version in wanted.specifier, f"{wanted} excludes the pin {pin}"


def test_everything_the_dependencies_need_is_pinned_too() -> None:
    pinned, seen, todo = pins(), set(), requirements()
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        if name in seen:
            continue
        seen.add(name)
        assert name in pinned, f"{name} is installed but constraints.txt does not pin it"
        try:
            needs = [Requirement(line) for line in metadata.requires(name) or []]
        except metadata.PackageNotFoundError:
            continue  # an extra that is not installed here
        if name == "torch":  # its CUDA build pins its own NVIDIA packages
            needs = [n for n in needs if not n.name.startswith(("nvidia", "cuda", "triton"))]
        extras = {"", *wanted.extras}
        todo += [n for n in needs if n.marker is None or any(n.marker.evaluate({"extra": e}) for e in extras)]
    assert {"torch", "sympy"} <= seen


def test_torch_is_pinned_without_a_build_and_its_companions_are_absent() -> None:
    assert "+" not in str(pins()["torch"].specifier)
    for file in (ROOT / "constraints.txt", ROOT / "pyproject.toml"):
        code = "\n".join(line.split("#")[0] for line in file.read_text(encoding="utf-8").splitlines())
        assert "torchvision" not in code and "torchaudio" not in code, file


def test_every_third_party_import_is_a_declared_dependency(
    imported: Callable[[Path], list[ast.Import | ast.ImportFrom]],
) -> None:
    declared = {canonicalize_name(r.name) for r in requirements(extras=False)}
    of_extras = {package for packages in EXTRAS.values() for package in packages}  # see tests/base/test_extras.py
    providers = metadata.packages_distributions()
    undeclared = set()
    for path in [*(ROOT / "ctgrid").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]:
        for node in imported(path):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for top in {name.split(".")[0] for name in names} - set(sys.stdlib_module_names):
                if top not in {"ctgrid", "ctgrid_configs", *of_extras}:
                    offered = {canonicalize_name(d) for d in providers.get(top, [top])}
                    if not offered & declared:
                        undeclared.add((path.relative_to(ROOT).as_posix(), top))
    assert undeclared == set()


# --- what is said


def test_no_file_names_a_path_of_one_machine() -> None:
    machine_path = re.compile(r"(?<![\w.~/-])/(?:work|root|home|opt|mnt|Users)/\w")
    guilty = []
    for path in tree_files():
        if path.name == "niivue.umd.js":  # of others, kept as it is
            continue
        data = path.read_bytes()
        if b"\0" not in data and machine_path.search(data.decode(errors="replace")):
            guilty.append(path.relative_to(ROOT).as_posix())
    assert guilty == []
