"""Vessels: distances to ellipsoids, and trees that stay in their lung."""

from __future__ import annotations

import numpy as np
import pytest

from ctgrid.data.simulate.anatomy import draw_anatomy
from ctgrid.data.simulate.vessels import FAR_MM, Ellipsoid, build_mediastinum, grow_lungs, heart_parts


def test_a_spheres_distance_is_exact_and_a_turned_ellipsoid_keeps_its_surface() -> None:
    y, x = np.meshgrid(*[np.linspace(-40, 40, 33, dtype=np.float32)] * 2, indexing="ij")
    ball = Ellipsoid((3.0, -4.0, 10.0), (20.0, 20.0, 20.0))
    exact = np.sqrt((x - 3) ** 2 + (y + 4) ** 2 + 25) - 20
    np.testing.assert_allclose(ball.distance(y, x, 15.0), exact, atol=1e-3)
    assert (ball.distance(y, x, 10 + 20 + FAR_MM + 0.1) == np.float32(FAR_MM)).all()
    turn, tilt = 0.5, -0.3
    turned = Ellipsoid((1.0, 2.0, 3.0), (30.0, 18.0, 12.0), (turn, tilt))
    c0, s0, c1, s1 = np.cos(turn), np.sin(turn), np.cos(tilt), np.sin(tilt)
    axes = np.array([[c1 * c0, c1 * s0, s1], [-s0, c0, 0], [-s1 * c0, -s1 * s0, c1]])
    for own in np.random.default_rng(0).standard_normal((20, 3)):
        surface = (own / np.linalg.norm(own) * turned.radii) @ axes + turned.centre
        at = [np.array([v], np.float32) for v in (surface[1], surface[0])]
        assert abs(turned.distance(*at, float(surface[2]))[0]) < 0.01
    inside = turned.distance(np.array([2.0], np.float32), np.array([1.0], np.float32), 3.0)
    assert inside[0] <= 0


def test_the_heart_grows_and_sinks_with_the_person() -> None:
    parts = heart_parts(draw_anatomy(3))
    person = draw_anatomy(3)
    first = parts["outline"][0]
    assert first.radii == pytest.approx((63 * person.heart, 43 * person.heart, 44 * person.heart))
    assert first.centre[2] == pytest.approx(112 - 0.5 * person.inspiration)
    assert len(parts["chambers"]) == 4


def test_great_vessels_and_airways_follow_from_the_person() -> None:
    one, again, other = (build_mediastinum(draw_anatomy(seed)) for seed in (1, 1, 2))
    for a, b, c in zip(one, again, other, strict=True):
        assert np.array_equal(a.ends, b.ends) and a.ends.shape == c.ends.shape and not np.array_equal(a.ends, c.ends)
        assert (a.radii > 0).all()


def test_trees_grow_in_the_lung_that_has_points() -> None:
    """The same for the same person; none where there is no lung in the picture."""
    person = draw_anatomy(1)
    rng = np.random.default_rng(0)
    inside = rng.uniform((-90, -40, 60), (-40, 60, 220), (400, 3)) + np.array([*person.shift, 0])
    vessels, bronchi = grow_lungs(person, inside, count=48)
    assert (vessels.ends[..., 0].max() < 0) and (bronchi.ends[..., 0].max() < 0)  # the right lung alone
    again, _ = grow_lungs(person, inside, count=48)
    assert np.array_equal(vessels.ends, again.ends) and np.array_equal(vessels.radii, again.radii)
    assert vessels.radii.min() == pytest.approx(0.6, abs=1e-5) and vessels.radii.max() <= 7.0 + 1e-5
    for tubes in grow_lungs(person, inside[:19], count=48):
        assert len(tubes.ends) == 0
