"""Histograms of HU: distances with known values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from ctgrid.runs.evaluation.ct.histogram import binned, counts_of, jensen_shannon, wasserstein_hu


def of(values: np.ndarray) -> np.ndarray:
    return counts_of(values.reshape(1, 8, -1).astype(np.int16))


def test_wasserstein_is_exact() -> None:
    """As scipy's of the values themselves; a shift by 30 HU is 30."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(-1000, 1001, 256), rng.integers(-500, 300, 256)
    assert wasserstein_hu(of(a), of(b)) == pytest.approx(wasserstein_distance(a, b))
    assert wasserstein_hu(of(b), of(b + 30)) == pytest.approx(30)
    assert wasserstein_hu(of(a), of(a)) == 0


def test_jensen_shannon_runs_from_nothing_to_one_bit() -> None:
    a, b = np.full(64, -900), np.full(64, 500)
    assert jensen_shannon(of(a), of(b)) == pytest.approx(1)
    assert jensen_shannon(of(a), of(a)) == 0
    half = np.concatenate([a[:32], b[:32]])
    assert jensen_shannon(of(a), of(half)) == pytest.approx(0.75 * np.log2(4 / 3), abs=1e-9)
    assert jensen_shannon(of(a), of(a + 3)) == 0  # within one bin


def test_only_what_is_asked_for_counts() -> None:
    """A mask of blocks; nothing counted is no histogram, and has no distance."""
    hu = np.zeros((2, 8, 8), np.int16)
    hu[:, :4, :4] = 700
    mask = np.zeros((2, 2, 2), bool)
    empty = counts_of(hu, mask)
    assert not empty.any() and np.isnan(wasserstein_hu(empty, counts_of(hu)))
    assert np.isnan(jensen_shannon(counts_of(hu), empty))
    mask[:, 0, 0] = True
    assert counts_of(hu, mask)[1700] == 1
    assert counts_of(hu)[1700] == 0.25


def test_bins_keep_all_voxels() -> None:
    shares = of(np.array([-1000, -991, -990, 1000] * 16))
    assert binned(shares)[[0, 1, -1]].tolist() == [0.5, 0.25, 0.25] and len(binned(shares)) == 200
