"""Volumes as pages hold them: nothing lost in packing, and no more than stated in shrinking."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ctgrid import Volume
from ctgrid.base.errors import CtgridError
from ctgrid.runs.report.html.block import embed, hu_table, level_table, pack, unpack


def test_packing_is_exact() -> None:
    levels = np.random.default_rng(0).integers(0, 421, (5, 7, 11)).astype(np.uint16)
    levels[2, 3, 4], levels[3, 3, 4] = 420, 0  # the largest step down
    assert np.array_equal(unpack(pack(levels), (5, 7, 11)), levels)


def test_levels_are_as_fine_as_the_page_says() -> None:
    hu = np.arange(-1024, 3072)
    error = np.abs(np.array(hu_table())[level_table()] - hu)
    assert error[hu < -200].max() <= 4
    assert error[(hu >= -200) & (hu <= 400)].max() <= 2
    assert error.max() <= 8


def test_small_volume_is_whole_and_upright(chest: Callable[..., np.ndarray]) -> None:
    hu = chest()
    lps = Volume(hu, np.diag([-0.7, -0.8, 2.5, 1.0]))
    turned = lps.reoriented("RAI")
    block = embed(turned)
    assert (block.shape, block.every) == ((24, 48, 64), 1)
    assert block.spacing_mm == pytest.approx((2.5, 0.8, 0.7))
    shown = np.array(hu_table())[unpack(block.text, block.shape)]
    assert np.abs(shown - hu).max() <= 8


def test_large_volume_keeps_its_size_in_mm(chest: Callable[..., np.ndarray]) -> None:
    volume = Volume(chest((45, 48, 64)), np.diag([-0.7, -0.8, 2.5, 1.0]))
    block = embed(volume, max_side=32, max_slices=20)
    assert (block.shape, block.every) == ((15, 24, 32), 3)
    assert block.spacing_mm == pytest.approx((7.5, 1.6, 1.4))
    shown = np.array(hu_table())[unpack(block.text, block.shape)].astype(float)
    whole = volume.hu[::3].reshape(15, 24, 2, 32, 2).mean((2, 4))
    assert np.corrcoef(shown.ravel(), whole.ravel())[0, 1] > 0.99


def test_values_beyond_ct_are_clipped() -> None:
    hu = np.array([[[-32768, -1024, 0, 3071, 32767]]], np.int16)
    block = embed(Volume(hu, np.diag([-1.0, -1.0, 1.0, 1.0])))
    assert np.array(hu_table())[unpack(block.text, block.shape)].ravel().tolist() == [-1024, -1024, 0, 3072, 3072]


def test_limits_are_checked(chest_volume: Volume) -> None:
    with pytest.raises(CtgridError, match="at least 16"):
        embed(chest_volume, max_side=8)
