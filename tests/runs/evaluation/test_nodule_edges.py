"""Borders of planted nodules: blur is seen as a wider one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctgrid.runs.evaluation.nodule_edges import nodule_edges
from ctgrid.runs.evaluation.nodules import Nodule, plant

SPACING = (2.5, 0.7, 0.7)
NODULES = [
    Nodule(10.0, 200.0, (2.1, 32.3, 30.2)),
    Nodule(8.0, 400.0, (1.9, 62.6, 63.1)),
    Nodule(3.0, 400.0, (2, 20, 70)),
]


def test_blur_widens_borders() -> None:
    """A Gaussian of 0.8 mm makes 2.56 times as much of what was a pixel's width."""
    bare = np.random.default_rng(0).normal(-850, 20, (5, 90, 90))
    clean = plant(bare, NODULES, SPACING)
    width, f50 = nodule_edges(clean, bare, NODULES, SPACING)
    blurred = bare + gaussian_filter(clean - bare, (0, 0.8 / 0.7, 0.8 / 0.7))
    wider, lower = nodule_edges(blurred, bare, NODULES, SPACING)
    assert width is not None and wider is not None and f50 is not None and lower is not None
    assert width < 1.2 and wider == pytest.approx(2.56 * 0.8, rel=0.15)
    assert lower == pytest.approx(0.1874 / 0.8, rel=0.12) and f50 > 2 * lower


def test_small_or_faint_nodules_tell_nothing() -> None:
    bare = np.full((5, 90, 90), -850.0)
    assert nodule_edges(bare, bare, NODULES[2:], SPACING) == (None, None)
    assert nodule_edges(bare, bare, NODULES, SPACING) == (None, None)
