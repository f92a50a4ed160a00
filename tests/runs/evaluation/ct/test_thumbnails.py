"""Features of slices see the body, not where it lies."""

from __future__ import annotations

import numpy as np

from ctgrid.runs.evaluation.ct.thumbnails import SIDE, mean_and_scale, thumbnails


def body(top: int, left: int) -> np.ndarray:
    """Return two slices with a body of 60 x 64 pixels, half of it fat."""
    hu = np.full((2, 128, 128), -1000, np.int16)
    hu[:, top : top + 60, left : left + 64] = 40
    hu[:, top : top + 30, left : left + 64] = -100
    return hu


def test_the_same_body_elsewhere_looks_the_same() -> None:
    one, other = thumbnails(body(10, 12)), thumbnails(body(50, 40))
    assert one.shape == (2, SIDE**2)
    np.testing.assert_allclose(one, other, atol=1e-6)
    rows = one[0].reshape(SIDE, SIDE).mean(axis=1)
    np.testing.assert_allclose(rows[[0, -1]], [900 / 1400, 1040 / 1400], atol=1e-6)  # chest window, 0 to 1


def test_features_that_hardly_vary_are_not_blown_up() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 4)) * [1, 1, 1, 1e-9]
    mean, scale = mean_and_scale(rows)
    np.testing.assert_allclose(mean, rows.mean(axis=0))
    assert scale[3] > 0.1 and np.allclose(scale[:3], rows.std(axis=0)[:3])
    assert (mean_and_scale(np.zeros((3, 2)))[1] == 1).all()
