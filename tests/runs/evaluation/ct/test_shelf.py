"""Volumes read one at a time: what is kept of each, and every one told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

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


def test_slices_of_two_sizes_and_fields_are_brought_to_one(
    tmp_path: Path, patient: Callable[..., np.ndarray], sample: Callable[..., Sample]
) -> None:
    """A body of the same size in mm looks the same, whatever the pixels it came in."""
    shelf = Shelf(tmp_path, lambda small: small[:, 0, :2], Steps(lambda *call: None, 2))
    fine = patient(1, noise_hu=0.0)
    coarse = fine.reshape(20, 32, 2, 32, 2).mean((2, 4)).round().astype(np.int16)
    first, second = shelf.describe(sample("a", fine)), shelf.describe(sample("b", coarse, (10.0, 12.0, 12.0)))
    assert first.slices().shape == second.slices().shape == (20, 128, 128)
    assert np.median(abs(first.slices().astype(int) - second.slices())) < 15
    assert len(list(tmp_path.iterdir())) == 2
