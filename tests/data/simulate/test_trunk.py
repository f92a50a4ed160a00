"""The trunk's layers: one inside the other, closed all around, and the diaphragm's two domes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from ctgrid.data.simulate.anatomy import draw_anatomy
from ctgrid.data.simulate.trunk import Trunk, axis_y, pleura_radius


@pytest.mark.parametrize("seed", range(4))
def test_layers_lie_one_inside_the_other_and_close(seed: int) -> None:
    trunk = Trunk(draw_anatomy(seed))
    for z in range(-60, 341, 20):
        radii = trunk.radii(z)
        assert list(radii) == ["pleura", "cage", "muscle", "skin"]
        for inner, outer in pairwise(radii.values()):
            assert (outer > inner).all(), z
        for radius in radii.values():
            assert radius.shape == trunk.phi.shape and radius[0] == pytest.approx(radius[-1], rel=1e-6)


def test_the_pleura_is_an_oval_of_the_tables_sizes() -> None:
    """Flat parts of the tables, where smoothing changes nothing: side, front and back at z = 150 by hand."""
    z = 147.0
    side = np.interp([z - 6, z, z + 6], [120, 170], [136, 122]) @ [0.25, 0.5, 0.25]
    front = np.interp([z - 6, z, z + 6], [120, 170], [88, 75]) @ [0.25, 0.5, 0.25]
    back = np.interp([z - 6, z, z + 6], [120, 170], [95, 88]) @ [0.25, 0.5, 0.25]
    found = pleura_radius(np.array([0.0, np.pi / 2, -np.pi / 2, np.pi]), z)
    np.testing.assert_allclose(found, [back, side, side, front], rtol=1e-6)
    assert axis_y(0.0) == 0 and axis_y(300.0) == pytest.approx(27)


def test_the_diaphragm_has_a_higher_dome_on_the_right_and_falls_to_the_walls() -> None:
    person = replace(draw_anatomy(0), inspiration=0.0)
    y, x = np.meshgrid(np.arange(-90.0, 91, 5), np.arange(-120.0, 121, 5), indexing="ij")
    heights = Trunk(person).diaphragm(y, x)
    right, left = heights[:, x[0] < -20], heights[:, x[0] > 20]
    assert right.max() > left.max() > heights[-1].max()
    lower = Trunk(replace(person, inspiration=10.0)).diaphragm(y, x)
    np.testing.assert_allclose(lower, heights - 10)
