"""How noisy a scan is and how sharp its noise: measured in even soft tissue, matched by a kernel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctgrid.data.simulate.calibrate import (
    COARSEST_MM,
    CUTOFFS_PER_MM,
    half_sample_mode,
    local_spread,
    match_cutoff,
    measure_grain,
)


def test_finer_noise_asks_for_a_sharper_kernel() -> None:
    rng, grains = np.random.default_rng(0), []
    for passes in (0, 1, 3):
        noise = 40 * rng.standard_normal((6, 96, 96))
        for _ in range(passes):
            noise = (noise + np.roll(noise, 1, 1) + np.roll(noise, 1, 2) + np.roll(noise, (1, 1), (1, 2))) / 4
        grain = measure_grain(40 + noise, (0.8, 0.8))
        assert grain is not None
        grains.append(grain)
    assert grains[0].spread_hu == pytest.approx(40, rel=0.1)
    assert grains[0].sharpness == pytest.approx(1, rel=0.15)
    assert grains[0].sharpness > grains[1].sharpness > grains[2].sharpness


def test_a_quiet_scan_tells_nothing() -> None:
    assert measure_grain(np.full((2, 64, 64), 40.0), (1.0, 1.0)) is None
    assert measure_grain(np.full((2, 64, 64), -850.0), (1.0, 1.0)) is None
    assert half_sample_mode(np.array([1.0, 5.0, 5.1, 5.2, 9.0, 20.0])) == pytest.approx(5.1, abs=0.2)


def test_local_spread_is_that_of_each_patch() -> None:
    """Half overlapping, with n - 1 in the denominator; by NumPy, patch by patch."""
    images = np.random.default_rng(1).normal(40, 10, (2, 20, 26))
    mean, spread = local_spread(torch.from_numpy(images).float(), (1.5, 0.9))  # patches of 4 x 7, steps of 2 x 3
    assert mean.shape == spread.shape == (2, 9, 7)
    for row in range(9):
        for column in range(7):
            patch = images[:, 2 * row : 2 * row + 4, 3 * column : 3 * column + 7].reshape(2, -1)
            np.testing.assert_allclose(mean[:, row, column], patch.mean(1), rtol=1e-5)
            np.testing.assert_allclose(spread[:, row, column], patch.std(1, ddof=1), rtol=1e-4)
    small = local_spread(torch.ones(1, 3, 2), (1.0, 1.0))  # smaller than a patch
    assert small[0].shape == (1, 1, 1) and float(small[1]) == 0


def test_the_level_is_that_of_even_patches_not_of_edges() -> None:
    rng = np.random.default_rng(2)
    hu = 50 + 12 * rng.standard_normal((4, 96, 96))
    hu[:, :, 60:64] += 300  # a bone, whose patches spread by more than a hundred
    grain = measure_grain(hu, (0.8, 0.8))
    assert grain is not None and grain.spread_hu == pytest.approx(12, rel=0.08)
    assert grain.patches.dtype == bool and 0.3 < grain.patches.mean() < 1
    assert measure_grain(hu, (0.8, COARSEST_MM + 0.1)) is None, "pixels too coarse"
    assert measure_grain(hu[:1, :20, :20], (0.8, 0.8)) is None, "too few patches"


def test_the_mode_of_few_and_of_equal_values() -> None:
    assert half_sample_mode(np.array([4.0])) == 4.0 and half_sample_mode(np.array([[1.0, 3.0]])) == 2.0
    assert half_sample_mode(np.full(50, 7.0)) == 7.0


def test_sharper_noise_gets_a_higher_cutoff() -> None:
    found = [match_cutoff(sharpness, (0.7, 0.7)) for sharpness in (0.0, 0.05, 0.2, 0.5, 1.0, 9.0)]
    assert found == sorted(found) and set(found) <= set(CUTOFFS_PER_MM)
    assert found[0] == CUTOFFS_PER_MM[0] and found[-1] > found[0]
