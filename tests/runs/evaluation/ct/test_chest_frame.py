"""Volumes of any field, size and place come into one frame."""

from __future__ import annotations

import numpy as np
import pytest

from ctgrid.runs.evaluation.ct.chest_frame import FIELD_MM, HEIGHTS, SIDE_PX, chest_frame


def cylinder(n: int, side: int, spacing_mm: float, middle: tuple[float, float] = (0, 0)) -> np.ndarray:
    """Return a body of 200 mm (n, side, side) around a middle (y, x) in mm from that of the image; a table behind."""
    y, x = np.meshgrid(*((np.arange(side) - (side - 1) / 2) * spacing_mm,) * 2, indexing="ij")
    plane = np.full((side, side), -1000, np.int16)
    plane[np.hypot(y - middle[0], x - middle[1]) < 100] = 40
    plane[(abs(y - middle[0] - 120) < 2) & (abs(x) < 80)] = 200
    return np.repeat(plane[None], n, axis=0)


@pytest.mark.parametrize(
    ("side", "spacing", "middle"),
    [(256, 340 / 256, (0, 0)), (250, 2.0, (60, -80)), (300, 0.9, (0, 0))],
    ids=["as it is", "wide and aside", "narrower than the frame"],
)
def test_the_frame_is_the_same_whatever_the_field(side: int, spacing: float, middle: tuple[float, float]) -> None:
    """The body's area, without the table, is that of the circle; it lies in the middle."""
    frame = chest_frame(cylinder(100, side, spacing, middle), (3.0, spacing, spacing))
    assert frame.hu.shape == frame.body.shape == (121, SIDE_PX, SIDE_PX)
    area_mm2 = frame.body.sum(axis=(1, 2)) * (FIELD_MM / SIDE_PX) ** 2
    assert area_mm2 == pytest.approx(np.pi * 100**2, rel=0.02)
    rows, columns = (np.flatnonzero(frame.body[60].any(axis=axis)) for axis in (1, 0))
    assert [(a[0] + a[-1]) / 2 for a in (rows, columns)] == pytest.approx([127.5, 127.5], abs=4)


def test_heights_share_out_the_extent() -> None:
    """A ramp along z comes back as one, whatever the number of slices."""
    for n in (50, 201, 300):
        ramp = np.linspace(-500, 500, n * 2 + 1)[1::2].round().astype(np.int16)
        frame = chest_frame(np.broadcast_to(ramp[:, None, None], (n, 64, 64)), (300 / n, 340 / 64, 340 / 64))
        levels = (np.arange(40, 161) + 0.5) / HEIGHTS * 1000 - 500
        assert frame.hu[:, 128, 128] == pytest.approx(levels, abs=1.5)
        assert frame.step_mm == pytest.approx(300 / HEIGHTS) and frame.whole
        assert frame.fine == (n > 50)


def test_a_part_of_a_chest_is_none() -> None:
    frame = chest_frame(cylinder(60, 128, 3.0), (2.0, 3.0, 3.0))
    assert not frame.whole and not frame.fine and frame.extent_mm == 120
