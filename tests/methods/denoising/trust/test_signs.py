"""What a slice and its answer show: strength and grain of noise, edges of the answer, changes that are strange."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctgrid.methods.denoising.trust.signs import SIGNS, Signs, signs_of

SPACING = (0.7, 0.7)
NOISE = np.random.default_rng(3).standard_normal((96, 96)).astype(np.float32)


def seen(signs: Signs, name: str) -> np.ndarray:
    return np.asarray(np.exp(signs.values[SIGNS.index(name)]))


def test_noise_and_its_grain_are_told_from_what_was_removed() -> None:
    """The strength whatever the grain; of white noise a fifth is left in the means, of coarse noise nearly all."""
    even = np.full((96, 96), 40, np.float32)
    coarse = gaussian_filter(NOISE, 3)
    for noise, grain in ((NOISE, 0.22), (coarse / coarse.std(), 0.85)):
        signs = signs_of(even + 20 * noise, even, SPACING)
        assert seen(signs, "noise").mean() == pytest.approx(20, rel=0.08)
        assert seen(signs, "grain").mean() == pytest.approx(grain, rel=0.15)
        assert seen(signs, "edge").max() == seen(signs, "texture").max() == pytest.approx(1)  # nothing: log of 1


def test_edges_and_texture_are_those_of_the_answer() -> None:
    answer = np.zeros((96, 96), np.float32)
    answer[:, 48:] = 300
    signs = signs_of(answer + 10 * NOISE, answer, SPACING)
    for name in ("edge", "texture", "unevenness"):
        across = seen(signs, name).mean(0)
        assert across[47:49].min() > 20 and across[:36].max() == pytest.approx(1), name


def test_a_vessel_that_was_removed_is_no_usual_change() -> None:
    """It stands out by far, and hardly makes its surroundings look noisier."""
    even, scan = np.zeros((96, 96), np.float32), 10 * NOISE.copy()
    scan[40:45, 40:45] += 60
    signs = signs_of(scan, even, SPACING)
    strange = np.abs(signs.change_hu) / signs.usual_hu
    assert strange[42, 42] > 8 and np.median(strange) < 1
    assert signs.change_hu[42, 42] == pytest.approx(60, rel=0.2)


def test_tissue_beside_padding_is_not_mixed_with_it() -> None:
    answer = np.full((32, 32), -1000, np.float32)
    answer[:, :8] = -2000
    assert (signs_of(answer, answer, SPACING).hu == -1000).all()


@pytest.mark.parametrize("shape", [(1, 40), (7, 5), (2, 2)])
def test_slices_of_any_size_and_nothing_removed_have_signs(shape: tuple[int, int]) -> None:
    flat = np.zeros(shape, np.int16)
    signs = signs_of(flat, flat, SPACING)
    assert np.isfinite(signs.values).all() and signs.values.shape == (len(SIGNS), *shape)
    assert (signs.usual_hu > 0).all() and not signs.change_hu.any()
