"""Bone, the ripple of the spine and symmetry, on a body with a spine of known vertebrae."""

from __future__ import annotations

import numpy as np
import pytest

from ctgrid.runs.evaluation.ct.chest_frame import FIELD_MM, ChestFrame
from ctgrid.runs.evaluation.ct.skeleton import bone_percent, mirror_correlation, spine_ripple_hu

STEP_MM = 1.5
PIXEL_MM = FIELD_MM / 256


def chest(ripple_hu: float = 0.0, heart: bool = False) -> ChestFrame:
    """Return an ellipse with a spine whose brightness is a sine of 24 mm along z."""
    n = 121
    y, x = np.meshgrid(*((np.arange(256) - 127.5) * PIXEL_MM,) * 2, indexing="ij")
    body = np.broadcast_to((x / 150) ** 2 + (y / 100) ** 2 < 1, (n, 256, 256))
    hu = np.where(body, 40.0, -1000.0)
    hu[:, ((abs(x) - 70) / 50) ** 2 + (y / 60) ** 2 < 1] = -850
    if heart:
        hu[:, np.hypot(x - 40, y + 10) < 45] = 40
    spine = np.hypot(x, y - 60) < 18
    wave = 350 + ripple_hu * np.sin(np.arange(n) * STEP_MM * 2 * np.pi / 24)
    hu[:, spine] = wave[:, None]
    return ChestFrame(hu.astype(np.float32), body, (hu < -500) & body, STEP_MM, 300.0, STEP_MM)


def test_ripple_grows_with_the_vertebrae() -> None:
    """A sine of amplitude a has the standard deviation a / √2; a straight rod has none."""
    assert spine_ripple_hu(chest()) < 1
    assert spine_ripple_hu(chest(40.0)) == pytest.approx(40 / np.sqrt(2), rel=0.1)


def test_bone_is_a_share_of_the_body() -> None:
    frame = chest()
    expected = 100 * 18**2 / (150 * 100)
    assert bone_percent(frame) == pytest.approx(np.full(121, expected), rel=0.08)


def test_a_heart_on_one_side_breaks_the_symmetry() -> None:
    assert mirror_correlation(chest()) == pytest.approx(1, abs=0.02)
    assert mirror_correlation(chest(heart=True)) < 0.9
