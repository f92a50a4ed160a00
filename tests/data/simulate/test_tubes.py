"""Tubes: drawn many at once as one by one, and as wide as they are."""

from __future__ import annotations

import numpy as np
import pytest

from ctgrid.data.simulate import tubes
from ctgrid.data.simulate.tubes import Grid, Tubes


def grid(side: int, z: float) -> Grid:
    pixels = np.linspace(-50, 50, side, dtype=np.float32)
    return Grid(pixels, pixels, z, 5.0, 100 / side, 100 / side)


@pytest.mark.parametrize("at_once", [1, 500, 10**9])
def test_many_are_the_most_of_each(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit, however many are drawn together; level, upright, out of the picture and out of reach."""
    rng = np.random.default_rng(0)
    ends = rng.uniform(-60, 60, (40, 2, 3)).astype(np.float32)
    ends[::5, 1, 2] = ends[::5, 0, 2]
    every = Tubes(ends, rng.uniform(0.5, 9, (40, 2)).astype(np.float32), tall=1.5)
    here = grid(48, 3.0)
    each = [Tubes(every.ends[i : i + 1], every.radii[i : i + 1], 1.5) for i in range(40)]
    covers, distances = [t.cover(here) for t in each], [t.distance(here, 12.0) for t in each]
    monkeypatch.setattr(tubes, "AT_ONCE", at_once)
    assert np.array_equal(every.cover(here), np.max(covers, axis=0)) and every.cover(here).max() == 1
    assert np.array_equal(every.distance(here, 12.0), np.min(distances, axis=0))
    assert sum(cover.any() for cover in covers) in range(5, 36)
    far = grid(48, 500.0)
    assert not every.cover(far).any() and (every.distance(far, 12.0) == 12).all()


def test_a_tube_has_its_radius() -> None:
    """Upright, of 10 mm: the distance is that to a circle, the cover its area."""
    upright = Tubes(np.array([[[4, -3, -40], [4, -3, 40]]], np.float32), np.full((1, 2), 10, np.float32))
    here = grid(200, 0.0)
    expected = np.hypot(here.x[None] - 4, here.y[:, None] + 3) - 10
    near = expected < 15
    assert np.allclose(upright.distance(here, 16.0)[near], expected[near], atol=1e-4)
    assert upright.cover(here).sum() * (100 / 199) ** 2 == pytest.approx(100 * np.pi, rel=0.01)
