"""What a slice sees of a person, and painting it coat by coat."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ctgrid.data.simulate.anatomy import draw_anatomy
from ctgrid.data.simulate.trunk import Trunk
from ctgrid.data.simulate.view import Canvas, Frame, Label, View, soft_least


def test_coats_blend_and_the_greater_part_names_the_voxel() -> None:
    canvas = Canvas(np.full((2, 3), -1000, np.float32), np.zeros((2, 3), np.uint8))
    cover = np.array([[0, 0.5, 0.6], [1, 0.25, 0.51]], np.float32)
    canvas.coat(cover, 40.0, Label.BODY)
    np.testing.assert_allclose(canvas.hu, [[-1000, -480, -376], [40, -740, -469.6]], atol=1e-3)
    assert canvas.labels.tolist() == [[0, 0, 1], [1, 0, 1]]
    canvas.coat(np.ones((2, 3), np.float32), np.arange(6.0).reshape(2, 3))
    assert canvas.hu.tolist() == [[0, 1, 2], [3, 4, 5]] and canvas.labels.tolist() == [[0, 0, 1], [1, 0, 1]]
    canvas.part((slice(0, 1), slice(1, 3))).coat(np.ones((1, 2), np.float32), 7.0, Label.BONE)
    assert canvas.hu[0].tolist() == [0, 7, 7] and canvas.labels[0].tolist() == [0, Label.BONE, Label.BONE]


@pytest.fixture(scope="module")
def frame() -> Frame:
    side = np.linspace(-180, 180, 61, dtype=np.float32)
    return Frame(Trunk(draw_anatomy(1)), side, side, (3.0, 6.0, 6.0))


def test_layers_nest_and_thicken_inwards(frame: Frame) -> None:
    view = View(frame, 150.0)
    layers = [view.layer(name) for name in ("pleura", "cage", "muscle", "skin")]
    for inner, outer in pairwise(layers):
        assert (inner <= outer + 1e-6).all() and inner.sum() < outer.sum()
    assert (view.layer("skin", 5.0) <= view.layer("skin")).all()
    assert layers[3][30, 30] == 1 and layers[3][0, 0] == 0


def test_a_cover_is_half_on_the_surface_and_linear_over_the_edge(frame: Frame) -> None:
    view = View(frame, 150.0)
    found = view.cover(np.array([-6.0, -3.0, -1.5, 0.0, 1.5, 3.0, 6.0], np.float32))
    np.testing.assert_allclose(found, [1, 1, 0.75, 0.5, 0.25, 0, 0])
    np.testing.assert_allclose(view.cover(np.array([1.0, -1.0]), 4.0), [0.25, 0.75])


def test_the_diaphragms_distance_is_height_over_slope(frame: Frame) -> None:
    """Level ground is as thick as the slice, a steep wall as the pixels are wide."""
    view = View(frame, 150.0)
    trunk, y, x = frame.trunk, frame.y.astype(float), frame.x.astype(float)
    gradient = np.hypot(
        (trunk.diaphragm(y + 1, x) - trunk.diaphragm(y - 1, x)) / 2,
        (trunk.diaphragm(y, x + 1) - trunk.diaphragm(y, x - 1)) / 2,
    )
    expected = (view.z - trunk.diaphragm(y, x)) / np.sqrt(1 + gradient**2)
    np.testing.assert_allclose(view.dome_depth(), expected, rtol=1e-3, atol=0.01)
    assert view.dome_edge().min() >= 3.0 * (1 / frame.slope.max()) and view.dome_edge().max() <= 6.2


def test_two_distances_meet_roundly() -> None:
    a, b = np.array([0.0, 0.0, -5.0, 20.0]), np.array([0.0, 30.0, 5.0, -3.0])
    np.testing.assert_allclose(soft_least(a, b, 8.0), [-2.0, 0.0, -5.0, -3.0])
    np.testing.assert_array_equal(soft_least(a, b, 8.0), soft_least(b, a, 8.0))
