"""Masks agree with SciPy's, slice by slice."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from ctgrid.runs.evaluation.ct.masks import eroded, filled, largest, opened


@pytest.fixture(scope="module")
def mask() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.asarray(ndimage.gaussian_filter(rng.standard_normal((4, 40, 50)), (0, 2, 2)) > -0.02)


def test_eroded(mask: np.ndarray) -> None:
    cross = ndimage.generate_binary_structure(2, 1)
    for pixels in (1, 3):
        expected = [ndimage.binary_erosion(plane, cross, iterations=pixels) for plane in mask]
        assert np.array_equal(eroded(mask, pixels), expected) and eroded(mask, pixels).any()


def test_opened(mask: np.ndarray) -> None:
    disc = np.hypot(*np.mgrid[-2:3, -2:3]) < 2.5
    expected = [ndimage.binary_opening(plane, disc) for plane in mask]
    assert np.array_equal(opened(mask), expected) and opened(mask).any() and not np.array_equal(opened(mask), mask)


def test_filled(mask: np.ndarray) -> None:
    expected = [ndimage.binary_fill_holes(plane) for plane in mask]
    assert np.array_equal(filled(mask), expected) and not np.array_equal(filled(mask), mask)


def test_largest_is_found_in_three_dimensions() -> None:
    mask = np.zeros((3, 8, 8), bool)
    mask[:, 1:3, 1:3] = True  # 12 voxels through all slices
    mask[1, 4:7, 4:7] = True  # 9 in one
    assert largest(mask).sum() == 12 and not largest(mask)[1, 5, 5]
    assert not largest(np.zeros((2, 4, 4), bool)).any()
