"""Small scans, small settings, and a way to compare stores byte by byte."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ctgrid.data.store.store import StoreSettings
from ctgrid.scan.volume import Volume

AFFINE = np.array([[-8.0, 0, 0, 12], [0, -8.0, 0, 9], [0, 0, 2.5, -40], [0, 0, 0, 1.0]])


@pytest.fixture
def scans(tmp_path: Path, chest: Callable[..., np.ndarray]) -> Callable[..., Path]:
    """Return a maker of a folder of NIfTI scans, called as ``scans("a", "b", slices=100, side=16)``."""

    def make(*names: str, slices: int = 100, side: int = 16, folder: str = "in") -> Path:
        for seed, name in enumerate(names):
            path = tmp_path / folder / f"{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            Volume(chest((slices, side, side), seed=seed), AFFINE).write(path, overwrite=True)
        return tmp_path / folder

    return make


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
