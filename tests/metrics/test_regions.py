"""Lungs, body and tissues of a chest, and bias inside them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.metrics.regions import body_mask, difference, lung_mask, tissue_masks

SPACING = (5.0, 4.0, 4.0)


@pytest.fixture(scope="module")
def scan(chest: Callable[..., np.ndarray]) -> np.ndarray:
    """Return a chest with a vessel in its right lung and a table below."""
    hu = chest((24, 64, 64), noise_hu=0.0)
    hu[8:16, 32, 19] = 30
    hu[:, 61:63, 10:54] = 100
    return hu


def test_lungs_are_the_air_inside_with_their_vessels(scan: np.ndarray) -> None:
    lungs = lung_mask(scan, SPACING)
    air = (scan == -850) | (scan == 30)
    assert (lungs & air).sum() / air.sum() > 0.98
    assert lungs[12, 32, 19] and not lungs[:, :2].any() and not lungs[:, :, 31:33].any()


def test_small_air_is_no_lung(scan: np.ndarray) -> None:
    assert not lung_mask(scan, (0.5, 0.4, 0.4)).any()  # the same chest, a thousandth the size
    assert not lung_mask(np.full((4, 16, 16), -1000, np.int16), SPACING).any()


def test_body_leaves_the_table_out(scan: np.ndarray) -> None:
    body = body_mask(scan)
    assert body[12, 32, 20] and body[12, 32, 32] and not body[12, 62, 30] and not body[12, 1, 1]


def test_tissues(scan: np.ndarray) -> None:
    masks = tissue_masks(scan, body_mask(scan), lung_mask(scan, SPACING))
    assert {scan[masks[name]].mean().round() for name in ("lung",)} == {-850}
    assert (scan[masks["bone"]] == 400).all() and masks["bone"].any()
    assert not masks["soft"][12, 62].any() and (scan[masks["soft"]] == 40).mean() > 0.95


def test_difference() -> None:
    a, b = np.array([[1, 5], [3, 100]]), np.array([[0, 1], [2, 0]])
    found = difference(a, b, np.array([[True, False], [True, False]]))
    assert (found.voxels, found.bias_hu, found.spread_hu) == (2, 1.0, 0.0)
    assert np.isnan(difference(a, b, np.zeros((2, 2), bool)).bias_hu)
    with pytest.raises(CtgridError, match="one shape"):
        difference(a, b, np.ones((2, 3), bool))
