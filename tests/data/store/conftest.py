"""Small settings, and a way to compare stores byte by byte."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ctgrid.data.store.one import StoreJob
from ctgrid.data.store.settings import StoreSettings
from ctgrid.scan.cases import Case


@pytest.fixture
def small() -> StoreSettings:
    """Return settings that make quick work: canonical, 10 slices of 16 x 16."""
    return StoreSettings(protocol="canonical", size=16, k=4, slices=10)


@pytest.fixture
def digest() -> Callable[[Path], dict[str, str]]:
    """Return a function that hashes every file of a tree, hidden ones too."""

    def hashed(folder: Path) -> dict[str, str]:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        assert files
        return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    return hashed


@pytest.fixture
def jobs(tmp_path: Path, small: StoreSettings) -> Callable[..., Iterator[StoreJob]]:
    """Return a maker of jobs by name, for work that looks at nothing else."""
    return lambda *names: (StoreJob(Case(tmp_path / name, name), tmp_path, small) for name in names)
