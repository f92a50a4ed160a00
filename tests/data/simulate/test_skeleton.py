"""Bones: twelve pairs of ribs around the chest, a spine behind it, none out of the skin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ctgrid.data.simulate.anatomy import Anatomy, draw_anatomy
from ctgrid.data.simulate.skeleton import build_skeleton, spine_at
from ctgrid.data.simulate.trunk import Trunk, axis_y, pleura_radius


@pytest.fixture(scope="module")
def average() -> Anatomy:
    """Someone whose body is the average one, in the scanner's middle."""
    return replace(draw_anatomy(0), scale=(1.0, 1.0, 1.0), roll=0.0, shift=(0.0, 0.0), scoliosis=0.0, kyphosis=0.0)


def test_ribs_are_symmetrical_and_lie_on_the_cage(average: Anatomy) -> None:
    ribs = build_skeleton(average, Trunk(average)).ribs
    points = ribs.ends.reshape(-1, 3).astype(float)
    mirrored = points * [-1, 1, 1]
    order = [np.lexsort(p.round(3).T) for p in (points, mirrored)]
    np.testing.assert_allclose(points[order[0]], mirrored[order[1]], atol=1e-3)
    assert len(ribs.ends) == 24 * 35  # 34 points on the cage and two of the neck
    x, y, z = points.reshape(24, 70, 3)[:, 4:].reshape(-1, 3).T
    axis = np.array([axis_y(h) for h in z])
    distance = np.hypot(x, y - axis) - pleura_radius(np.arctan2(x, y - axis), z)
    np.testing.assert_allclose(distance, 5.0, atol=0.01)
    assert ribs.tall > 1


def test_no_bone_sticks_out_of_the_skin(average: Anatomy) -> None:
    trunk = Trunk(average)
    points = build_skeleton(average, trunk).bones.ends.reshape(-1, 3)
    spine = points[(np.abs(points[:, 0]) < 1) & (points[:, 2] < 260)]
    assert len(spine) > 30
    for x, y, z in spine:
        skin = trunk.radii(z)["skin"][len(trunk.phi) // 2] + axis_y(z)
        assert np.hypot(x, y - axis_y(z)) < skin - 4


def test_the_spine_bends_as_the_person_does() -> None:
    person = replace(draw_anatomy(0), scoliosis=5.0, kyphosis=0.0)
    y, x = spine_at(person, np.array([140.0, 30.0]))
    assert y[0] == pytest.approx(58) and x[1] == pytest.approx(0)
    bent, _ = spine_at(replace(person, kyphosis=3.0), np.array([150.0]))
    straight, _ = spine_at(person, np.array([150.0]))
    assert bent - straight == pytest.approx(3)
    assert spine_at(person, 30 + 35 * np.pi)[1] == pytest.approx(5)
