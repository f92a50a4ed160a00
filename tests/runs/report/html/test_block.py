"""Volumes as the viewer holds them: every pixel, whole HU, upright, and slices left out only as told."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ctgrid import Volume
from ctgrid.runs.report.html.block import MOST, embed, every_of, pack, unpack


def test_packing_is_exact() -> None:
    values = np.random.default_rng(0).integers(-32768, 32768, (5, 7, 11)).astype(np.int16)
    values[2, 3, 4:6] = -32768, 32767  # the largest step
    assert np.array_equal(unpack(pack(values), (5, 7, 11)), values)


@pytest.mark.parametrize("packed", [True, False])
def test_volume_is_whole_exact_and_upright(chest: Callable[..., np.ndarray], packed: bool) -> None:
    hu = chest()
    lps = Volume(hu, np.diag([-0.7, -0.8, 2.5, 1.0]))
    block = embed(lps.reoriented("RAI"), packed=packed)
    assert (block.shape, block.whole_shape, block.every) == (hu.shape, hu.shape, 1)
    assert block.spacing_mm == pytest.approx((2.5, 0.8, 0.7)) and not block.rounded
    assert np.array_equal(block.voxels(), hu)
    assert np.allclose(block.affine, lps.affine)


def test_slices_are_left_out_but_no_pixel_is(chest: Callable[..., np.ndarray]) -> None:
    volume = Volume(chest((45, 48, 64)), np.diag([-0.7, -0.8, 2.5, 1.0]))
    block = embed(volume, every=4)
    assert (block.shape, block.whole_shape, block.every) == ((12, 48, 64), (45, 48, 64), 4)
    assert np.array_equal(block.voxels(), volume.hu[::4])


def test_every_of_is_the_least_that_fits() -> None:
    slice_mb = 2 * 512 * 512 / 1e6
    assert every_of((141, 512, 512), 2, 160) == 1 and every_of((300, 512, 512), 2, 160) == 2
    for most in (1, 7, 50, 99):
        every = every_of((100, 512, 512), 1, most * slice_mb * 1.001)
        assert -(-100 // every) <= most < -(-100 // (every - 1))
    assert every_of((5, 512, 512), 1, 0.001) == 5  # one slice at least


def test_fractions_are_rounded_in_hu_and_kept_in_maps() -> None:
    values = np.array([[[0.25, -1.5, 3.0]]], np.float32)
    hu, kept = (embed(Volume(values, np.eye(4)), continuous=continuous) for continuous in (False, True))
    assert hu.rounded and hu.voxels().ravel()[[0, 2]].tolist() == [3, 0]
    assert not kept.rounded and np.allclose(kept.voxels().ravel(), [3.0, -1.5, 0.25], atol=3 / MOST)
    assert not embed(Volume(np.rint(values), np.eye(4))).rounded
