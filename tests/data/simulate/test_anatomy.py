"""Persons: drawn apart, and placed in the scanner by a map with an inverse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ctgrid.base.draws import normal
from ctgrid.base.errors import CtgridError
from ctgrid.data.simulate.anatomy import MIDDLE_MM, draw_anatomy
from ctgrid.data.simulate.tubes import Tubes


def test_persons_differ_in_all_that_is_drawn_and_the_seed_decides() -> None:
    people = [draw_anatomy(seed) for seed in range(12)]
    assert people[3] == draw_anatomy(3)
    for name in ("scale", "roll", "fat", "inspiration", "heart", "gap", "lung_hu"):
        assert len({getattr(p, name) for p in people}) == 12
    assert 0 < sum(p.breasts > 0 for p in people) < 12
    assert 0 < sum(p.blood_hu >= 120 for p in people) < 12  # with contrast medium
    with pytest.raises(CtgridError, match="0 or more"):
        draw_anatomy(-1)


def test_nobody_is_a_monster() -> None:
    """Spreads are cut at twice their size."""
    for seed in range(200):
        person = draw_anatomy(seed)
        assert all(0.8 < scale < 1.2 for scale in person.scale) and abs(math.degrees(person.roll)) <= 4
        assert -886 < person.lung_hu < -824 and 0.75 < person.bone < 1.25 and abs(person.inspiration) <= 16


@pytest.mark.parametrize("seed", [0, 4])
def test_the_scanners_frame_and_the_body_are_inverse(seed: int) -> None:
    person = draw_anatomy(seed)
    points = np.random.default_rng(seed).uniform(-150, 250, (50, 3))
    placed = person.to_scanner(points)
    y, x = person.to_body(placed[:, 1], placed[:, 0])
    np.testing.assert_allclose(np.column_stack((x, y)), points[:, :2], atol=1e-9)
    np.testing.assert_allclose([person.height(z) for z in placed[:, 2]], points[:, 2], atol=1e-9)
    assert person.to_scanner(np.array([0.0, 0.0, MIDDLE_MM]))[2] == pytest.approx(MIDDLE_MM)


def test_lengths_scale_with_the_person_and_so_do_tubes() -> None:
    person = draw_anatomy(1)
    ends = np.array([[[0, 0, 100], [30, 0, 100]]], np.float32)
    placed = person.place(Tubes(ends, np.full((1, 2), 4.0, np.float32), 1.5))
    assert np.linalg.norm(placed.ends[0, 1] - placed.ends[0, 0]) == pytest.approx(30 * person.scale[0], rel=1e-5)
    assert placed.radii == pytest.approx(4 * math.sqrt(person.scale[0] * person.scale[1]), rel=1e-6)
    assert placed.tall == 1.5


def test_parts_of_the_body_have_their_own_streams() -> None:
    person = draw_anatomy(2)
    first = [normal((4,), person.generator(stream)).tolist() for stream in (1, 2, 1)]
    assert first[0] == first[2] != first[1]
