"""Means given back: an offset of a tissue comes back, white noise does not, nor what is cut off."""

from __future__ import annotations

import numpy as np
import pytest

from ctgrid.methods.denoising.means import mean_removed

SPACING = (0.7, 0.7)


def chest(side: int = 192) -> np.ndarray:
    """Return a slice of soft tissue in air."""
    hu = np.full((side, side), -1000, np.float32)
    hu[10:-10, 10:-10] = 40
    return hu


def ramp_noise(side: int, level: float) -> np.ndarray:
    """Return noise as filtered back-projection has it, whose power grows with frequency."""
    white = np.fft.rfft2(np.random.default_rng(0).standard_normal((side, side)))
    f = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    noise = np.fft.irfft2(white * np.sqrt(f * np.square(np.cos(np.pi * f.clip(max=0.5)))), (side, side))
    return np.asarray(level * noise / noise.std())


def test_an_offset_under_the_noise_of_ct_is_given_back() -> None:
    """Nearly all of 4 HU too much under 60 HU of noise; in air nothing."""
    clean = chest()
    removed = ramp_noise(192, 60) + np.where(clean > 0, 4.0, 0.0)
    back = mean_removed(removed, clean, 60.0, SPACING)
    assert back.dtype == np.float32 and back[40:-40, 40:-40].mean() == pytest.approx(4, abs=0.8)
    assert np.abs(back[:6]).max() == 0


def test_each_tissue_has_a_mean_of_its_own() -> None:
    """Streaks of fat in muscle, 8 mm wide, came out 3 HU too bright, the muscle too dark: nearly half comes back."""
    clean = chest()
    fat = (clean > 0) & (np.arange(192) // 12 % 2 == 0)
    clean[fat] = -100
    removed = ramp_noise(192, 60) + np.where(clean > -500, np.where(fat, -3.0, 3.0), 0.0)
    back = mean_removed(removed, clean, 60.0, SPACING)[40:-40, 40:-40]
    assert back[fat[40:-40, 40:-40]].mean() < -1 and back[~fat[40:-40, 40:-40]].mean() > 1


def test_noise_left_in_a_voxel_does_not_choose_its_tissue() -> None:
    """Where a third of the noise is left, bright voxels are those with too little removed: their mean is none."""
    noise = ramp_noise(192, 60)
    clean = chest() + np.where(chest() > 0, noise / 3, 0.0).astype(np.float32)
    assert np.abs(mean_removed(noise * 2 / 3, clean, 60.0, SPACING)).mean() < 1


def test_means_of_white_noise_are_noise() -> None:
    draws = (60 * np.random.default_rng(seed).standard_normal((512, 512)) for seed in range(3))
    assert max(float(np.abs(mean_removed(noise, chest(512), 60.0, SPACING)).max()) for noise in draws) < 0.5


def test_what_is_cut_off_has_no_mean() -> None:
    """With 500 HU of noise soft tissue is near a floor at -1024; where there are 100, it is not."""
    clean = chest()
    removed = np.where(clean > 0, 4.0, 0.0)
    assert np.abs(mean_removed(removed, clean, 500.0, SPACING, -1024.0)).max() == 0
    halves = mean_removed(removed, clean, np.array([[100.0, 500.0]]), SPACING, -1024.0)
    assert halves[96, 40] == pytest.approx(4, abs=0.3) and halves[96, 170] == 0
    assert np.abs(mean_removed(removed, np.full_like(clean, -1000), 10.0, SPACING)).max() == 0


def test_any_size() -> None:
    """Sizes that no number of cells fills; in a handful of pixels noise does not average out, so they have no mean."""
    for shape, least in (((7, 9), 0), ((1, 1), 0), ((93, 96), 2.7)):
        back = mean_removed(np.full(shape, 3.0, np.float32), np.full(shape, 50, np.float32), 50.0, SPACING)
        assert back.shape == shape and least <= back.min() <= back.max() <= 3 and (back.max() == 0) == (least == 0)
