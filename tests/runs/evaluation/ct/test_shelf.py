"""Volumes read one at a time: what is kept of each, and every one told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.ct.shelf import Shelf, Steps
from ctgrid.runs.evaluation.samples import Sample


def test_shrunk_slices_lie_on_the_disk_and_features_in_memory(
    tmp_path: Path, patient: Callable[..., np.ndarray], sample: Callable[..., Sample]
) -> None:
    told: list[tuple[str, int, int]] = []
    shelf = Shelf(tmp_path, lambda small: small.mean((1, 2))[:, None], Steps(lambda *call: told.append(call), 4))
    first, second = (shelf.describe(sample(f"p{seed}", patient(seed))) for seed in (1, 2))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1.npy", "2.npy"]
    small = np.load(tmp_path / "1.npy")
    assert small.dtype == np.int16 and np.array_equal(first.slices(), small)
    np.testing.assert_allclose(first.features, small.astype(float).mean((1, 2))[:, None])
    found = shelf.searched(first, [first, second])
    assert (found.volume == 0).all() and found.distance == pytest.approx(0) and found.ssim == pytest.approx(1)
    assert told == [("describing volumes", 1, 4), ("describing volumes", 2, 4), ("searching neighbours", 3, 4)]


def test_slices_of_two_sizes_cannot_be_compared(tmp_path: Path, sample: Callable[..., Sample]) -> None:
    shelf = Shelf(tmp_path, lambda small: small[:, 0, :2], Steps(lambda *call: None, 2))
    shelf.describe(sample("a", np.zeros((2, 64, 64), np.int16)))
    with pytest.raises(CtgridError, match="b: slices of 32 pixels beside others of 64"):
        shelf.describe(sample("b", np.zeros((2, 32, 32), np.int16)))
    assert len(list(tmp_path.iterdir())) == 1
