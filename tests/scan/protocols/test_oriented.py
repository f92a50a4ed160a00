"""Slices turned to a model's orientation and back: nothing moves, and numbers of slices follow."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.scan.geometry import centred_affine, reorient
from ctgrid.scan.protocols.canonical import to_canonical
from ctgrid.scan.protocols.oriented import check_orientation, from_oriented, to_oriented, turn_images, upright
from ctgrid.scan.volume import Volume

AXIAL = [x + y + z for x, y in (*product("LR", "AP"), *product("AP", "LR")) for z in "SI"]


@pytest.mark.parametrize("codes", AXIAL)
def test_slices_are_those_of_the_scan_stored_that_way(codes: str, chest: Callable[..., np.ndarray]) -> None:
    """What is turned for a model is what a scan of that order holds; back again, it is the scan."""
    scan = Volume(np.clip(chest((9, 32, 32)), -1000, 1000), centred_affine("RAS", (3.0, 2.0, 2.0), (9, 32, 32)))
    unit, way = to_oriented(scan, 32, codes)
    assert unit.flags.c_contiguous
    np.testing.assert_array_equal(np.rint(unit * 1000), scan.reoriented(codes).hu)
    back = from_oriented(unit, way)
    np.testing.assert_array_equal(back.hu, scan.hu)
    np.testing.assert_allclose(back.affine, scan.affine)
    canonical = to_canonical(scan, 32)[0]
    for z in (0, 2, 8):
        (here,) = way.numbers([z])
        turned = turn_images(torch.from_numpy(unit[here]), codes, "LPS")
        np.testing.assert_array_equal(turned.numpy(), canonical[z])
    assert way.place((4, 20)) == ((4, 20) if codes[2] == "S" else (7, 20))  # of 20 slices the 9 from number 4 on


@pytest.mark.parametrize("codes", AXIAL)
def test_upright_knows_the_spacing_of_every_axis(codes: str, chest: Callable[..., np.ndarray]) -> None:
    shape, spacing = (5, 12, 16), (3.0, 2.0, 1.0)
    hu, affine = reorient(chest(shape), centred_affine("LPS", spacing, shape), codes)
    theirs = tuple(float(s) for s in np.linalg.norm(affine[:3, :3], axis=0)[::-1])
    turned, mm = upright(hu, codes, theirs)  # type: ignore[arg-type]
    np.testing.assert_array_equal(turned, chest(shape))
    assert mm == spacing


@pytest.mark.parametrize("codes", ["LPX", "LLS", "LSP", "", "LP"])
def test_what_is_no_orientation_of_axial_slices_is_refused(codes: str) -> None:
    with pytest.raises(CtgridError, match=r"stage\.json: (orientation|slices of orientation)"):
        check_orientation(codes, "stage.json")
