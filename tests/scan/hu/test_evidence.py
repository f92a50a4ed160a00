"""What a histogram says of a reading."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ctgrid.scan.hu.evidence import evidence_of, evidence_sample
from ctgrid.scan.hu.readings import Reading

RIGHT = Reading("stored", 1.0, 0.0)


@pytest.fixture(scope="module")
def sample(chest: Callable[..., np.ndarray]) -> np.ndarray:
    """A chest in HU."""
    return evidence_sample(chest((20, 96, 96)))


def test_shares_are_those_of_the_ranges() -> None:
    """Of voxels that are no padding; values that are none are passed over."""
    hu = np.repeat(np.float32([-1000, -900, 0, 700, np.nan]), [30, 20, 40, 10, 5]).reshape(1, 1, -1)
    found = evidence_of(hu, RIGHT)
    assert (found.air, found.soft_tissue, found.dense, found.empty) == pytest.approx((0.5, 0.4, 0.1, 0.0))
    assert found.lowest == found.constant_air == pytest.approx(0.3)
    padded = evidence_of(np.concatenate([hu, np.full((1, 1, 100), -3000, np.float32)], axis=2), RIGHT)
    assert (padded.air, padded.soft_tissue) == pytest.approx((0.5, 0.4)) and padded.lowest == 0.5


@pytest.mark.parametrize("wrong", [1024.0, -1024.0, 8192.0, 400.0])
def test_the_right_reading_has_the_most_support(sample: np.ndarray, wrong: float) -> None:
    right = evidence_of(sample, RIGHT)
    assert right.plausible and right.support > 2 * evidence_of(sample, Reading("header", 1.0, wrong)).support


def test_nothing_is_no_evidence() -> None:
    nothing = evidence_of(np.full((1, 2, 2), np.nan, np.float32), RIGHT)
    assert not nothing.plausible and nothing.support == 0 and nothing.peaks_hu == (None, None)


def test_a_sample_is_small_and_tames_noise() -> None:
    """Some 32 slices of means of blocks, which keep the mean."""
    noisy = np.random.default_rng(0).normal(40, 100, (50, 200, 210)).astype(np.float32)
    thin = evidence_sample(noisy)
    assert thin.shape == (32, 50, 52) and thin.dtype == np.float32
    assert thin.mean() == pytest.approx(40, abs=2) and thin.std() == pytest.approx(25, rel=0.1)
    assert evidence_sample(noisy[:3, :20, :20]).shape == (3, 20, 20)
