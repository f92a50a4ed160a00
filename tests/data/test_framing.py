"""The common frame: where the body lands, at which size, and which way poses move it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ctgrid.base.draws import generator_for
from ctgrid.data.framing import Pose, Poses, body_centre, draw_deformation, draw_pose, frame
from ctgrid.data.volumes import VolumeSlices

SIDE = 96


def bodies(row: float, column: float, half: float = 20.0, count: int = 3) -> VolumeSlices:
    """Make slices of air with one bright square, 1 mm pixels; its middle is (row, column)."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    inside = ((y - row).abs() < half) & ((x - column).abs() < half)
    return VolumeSlices("body", torch.where(inside, 0, -1000).short().expand(count, SIDE, SIDE), (2.0, 1.0, 1.0))


def middle(image: Tensor) -> tuple[float, float]:
    """Centre of mass (row, column) above air."""
    weight = image.double() + 1
    index = torch.arange(len(image), dtype=torch.float64)
    return float((weight.sum(1) * index).sum() / weight.sum()), float((weight.sum(0) * index).sum() / weight.sum())


@pytest.mark.parametrize(("row", "column"), [(47.5, 47.5), (31.5, 55.5), (59.5, 35.5)])
def test_body_centre_is_found(row: float, column: float) -> None:
    """To the pixel blocks it is looked for in."""
    assert body_centre(bodies(row, column).hu) == pytest.approx((row, column), abs=2.0)


def test_an_empty_image_has_its_centre_in_the_middle() -> None:
    """Nothing but air must not fail."""
    assert body_centre(torch.full((2, SIDE, SIDE), -1000).short()) == pytest.approx((47.5, 47.5))


@pytest.mark.parametrize(("row", "column"), [(47.5, 47.5), (31.5, 55.5)])
def test_frame_centres_the_body_at_a_fixed_field_of_view(row: float, column: float) -> None:
    """40 mm of body in a frame of 80 mm take half of its pixels; outside the scan lies air."""
    framed = frame(bodies(row, column), fov_mm=80.0, size=64)
    assert framed.shape == (3, 64, 64) and framed.dtype == torch.float32
    assert middle(framed[0]) == pytest.approx((31.5, 31.5), abs=1.6)
    assert float((framed[0] + 1).sum()) == pytest.approx(32**2, rel=0.1)
    assert framed.min() == -1 and framed.max() <= 1e-6
    assert framed[:, 0].max() == -1


def test_frame_equals_the_slices_where_nothing_changes() -> None:
    """A frame that is the image itself gives the image back."""
    volume = bodies(47.5, 47.5)
    assert torch.allclose(frame(volume, fov_mm=SIDE, size=SIDE), volume.unit(slice(None)), atol=1e-3)


def test_zoom_and_shift_move_as_documented() -> None:
    """A larger zoom enlarges the body; a positive shift moves it down and to the right."""
    volume = bodies(47.5, 47.5)
    straight = frame(volume, 80.0, 64)[0]
    zoomed = frame(volume, 80.0, 64, Pose(zoom=1.2))[0]
    assert float((zoomed + 1).sum() / (straight + 1).sum()) == pytest.approx(1.44, rel=0.08)
    shifted = frame(volume, 80.0, 64, Pose(shift=(0.1, -0.05)))[0]
    assert np.subtract(middle(shifted), middle(straight)) == pytest.approx([6.4, -3.2], abs=0.2)


def test_turns_are_counter_clockwise_as_displayed() -> None:
    """What lies to the right moves up: rows grow downwards."""
    volume = bodies(47.5, 47.5)
    marked = volume.hu.clone()
    marked[:, 45:51, 60:66] = 1000
    volume = VolumeSlices("marked", marked, volume.spacing_mm)
    for degrees, (row, column) in {0: (31.5, 43.7), 90: (19.3, 31.5), 30: (25.4, 42.1)}.items():
        bright = (frame(volume, 80.0, 64, Pose(turn_deg=degrees))[0] - 0.2).clamp(0) - 1
        assert middle(bright) == pytest.approx((row, column), abs=1.7)


def test_poses_are_small_and_differ() -> None:
    """Within the documented bounds, and never the same twice."""
    poses = [draw_pose(generator_for(i)) for i in range(100)]
    assert len(set(poses)) == 100
    assert 4 < max(abs(p.turn_deg) for p in poses) <= 6
    assert 0.9 <= min(p.zoom for p in poses) < 0.95 and 1.05 < max(p.zoom for p in poses) <= 1.1
    assert 0.03 < max(abs(s) for p in poses for s in p.shift) <= 0.04


def test_a_deformation_moves_what_it_says_and_is_smooth() -> None:
    """Its displacement is in mm of (columns, rows): what lay there comes here; it differs from slice to slice."""
    volume = bodies(47.5, 47.5, count=40)
    drawn = draw_deformation(volume, 100.0, 4.0, generator_for(3))
    assert drawn.shape == (40, 2, 3, 3)
    assert 2.5 < float(drawn.std()) < 5.5
    step = float(drawn.diff(dim=0).abs().mean())
    assert 0.05 < step < 0.15 * float(drawn.std())
    even = torch.tensor([3.0, -5.0])[None, :, None, None].expand(40, 2, 3, 3)
    straight, moved = frame(volume, 96.0, 96), frame(volume, 96.0, 96, deformation=even)
    assert np.subtract(middle(moved[35]), middle(straight[35])) == pytest.approx([5.0, -3.0], abs=0.1)
    bent = frame(volume, 96.0, 96, deformation=drawn)
    assert float((bent[0] - bent[39]).abs().mean()) > 0.01


def test_a_wider_body_keeps_its_area() -> None:
    """Width grows as depth shrinks; slices at the feet are left out."""
    straight = frame(bodies(47.5, 47.5, count=10), fov_mm=80.0, size=80)
    wide = frame(bodies(47.5, 47.5, count=10), 80.0, 80, Pose(width=1.44, feet=0.3))
    assert len(wide) == 7
    assert (wide[0] > -0.5).any(0).sum() / (straight[0] > -0.5).any(0).sum() == pytest.approx(1.2, abs=0.04)
    assert float((wide[0] + 1).sum() / (straight[0] + 1).sum()) == pytest.approx(1, abs=0.05)


def test_poses_go_as_far_as_they_are_let() -> None:
    """And the first four draws do not depend on whether there are more."""
    drawn = [draw_pose(generator_for(i), Poses(0.2, 0.1, 0.15)) for i in range(60)]
    assert 1.15 < max(pose.zoom for pose in drawn) <= 1.2 and 0.8 <= min(pose.zoom for pose in drawn) < 0.85
    assert 1.07 < max(pose.width for pose in drawn) <= 1.1 and 0.9 <= min(pose.width for pose in drawn) < 0.93
    assert 0.12 < max(pose.feet for pose in drawn) <= 0.15 and min(pose.feet for pose in drawn) >= 0
    small = draw_pose(generator_for(3))
    assert (small.turn_deg, small.shift) == (drawn[3].turn_deg, drawn[3].shift) and small.width == 1 and not small.feet
