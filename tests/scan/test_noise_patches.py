"""Patches of soft tissue: grain and level of noise of known kinds, edges left out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctgrid.scan.noise_patches import grain_of, joined, level_of, map_of, patches_of

SPACING = (0.7, 0.7)


def noise(sigma: float, blur: float, shape: tuple[int, int] = (200, 200), seed: int = 0) -> np.ndarray:
    """Return Gaussian noise of a standard deviation whose grain is as coarse as a blur makes it."""
    white = np.random.default_rng(seed).standard_normal(shape)
    made = gaussian_filter(white, blur, mode="wrap") if blur else white
    return np.asarray(sigma * made / made.std())


@pytest.mark.parametrize("blur", [0.0, 0.5, 0.8])
def test_level_whatever_the_grain(blur: float) -> None:
    """Within 10 %, and the grain is coarser the more it is blurred."""
    patches = patches_of(40 + noise(30, blur), SPACING)
    grain = grain_of(patches)
    assert grain is not None
    assert level_of(patches, grain) == pytest.approx(30, rel=0.1)
    assert (grain < 1.05) if blur == 0 else (grain > 1 + blur / 4)


def test_fine_part_of_white_noise_is_its_own() -> None:
    """The second difference is scaled so; a plane through the picture counts for neither measure."""
    ramp = np.linspace(-20, 60, 200)[None] + np.zeros((200, 1))
    patches = patches_of(ramp + noise(25, 0), SPACING)
    assert np.median(patches.fine) == pytest.approx(25, rel=0.05)
    assert np.median(patches.spread) == pytest.approx(25, rel=0.05)
    flat = patches_of(ramp, SPACING)
    assert flat.spread.max() < 1e-3 and np.median(flat.fine) < 1e-3


def test_edges_do_not_count() -> None:
    """A chess board of fat and muscle: the noise is still that of its even parts; without noise it is none."""
    board = np.where((np.add.outer(np.arange(200) // 67, np.arange(200) // 67)) % 2, -100.0, 60.0)
    patches = patches_of(board + noise(20, 0.8), SPACING)
    assert level_of(patches, grain_of(patches) or 0) == pytest.approx(20, rel=0.15)
    silent = patches_of(board, SPACING)
    assert grain_of(silent) == 1.0 and level_of(silent, 1.0) == 0.0


def test_regions_have_noise_of_their_own() -> None:
    """Half the picture has three times the noise: the root mean square of both."""
    picture = 40 + noise(10, 0)
    picture[:, 100:] = 40 + noise(30, 0, (200, 100), 1)
    patches = patches_of(picture, (0.8, 0.8))
    assert level_of(patches, 1.0) == pytest.approx(np.sqrt((10**2 + 30**2) / 2), rel=0.1)


def test_too_little_tissue() -> None:
    """Air tells nothing, nor does a corner of tissue; several slices together may."""
    air = patches_of(np.full((64, 64), -1000.0), SPACING)
    assert len(air) == 0 and grain_of(air) is None and level_of(air, 1.0) is None
    small = [patches_of(np.where(np.arange(64) < 20, 40.0, -1000.0)[:, None] + noise(15, 0, (64, 64), seed), SPACING)
             for seed in range(4)]  # fmt: skip
    assert level_of(small[0], 1.0) is None
    assert level_of(joined(small), grain_of(joined(small)) or 0) == pytest.approx(15, rel=0.15)
    assert len(joined([])) == 0


def test_a_map_shows_where_it_is_loud() -> None:
    """Over the level, so that its root mean square over tissue is 1; a hole of air is filled from around."""
    picture = 40 + noise(10, 0.6)
    picture[:, 100:] = 40 + noise(30, 0.6, (200, 100), 1)
    picture[80:120, 140:180] = -1000
    patches = patches_of(picture, SPACING)
    found = map_of(patches, grain_of(patches) or 1.0, picture.shape, SPACING)
    assert found is not None
    rows, columns = found.shape
    ratio = found[:, : columns // 4].mean() / found[:, -columns // 4 :].mean()
    assert ratio == pytest.approx(1 / 3, rel=0.3)
    assert found[rows // 2, int(0.8 * columns)] == pytest.approx(found[rows // 4, int(0.8 * columns)], rel=0.1)
    assert map_of(patches_of(np.full((64, 64), -1000.0), SPACING), 1.0, (64, 64), SPACING) is None
