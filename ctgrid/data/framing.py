"""One physical frame for every patient: centred on the body, a fixed field of view, varied by small poses."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

from ctgrid.data.volumes import VolumeSlices
from ctgrid.metrics.regions import BODY_HU

BODY_SHARE = 0.05
"""A row or column belongs to the body where this share of all its pixels does, in the mean over slices."""


@dataclass(frozen=True)
class Pose:
    """How a patient lies in the frame.

    Attributes:
        turn_deg: rotation in the axial plane, degrees, counter-clockwise in display orientation.
        zoom: size of the body relative to its own.
        shift: (rows, columns) as a share of the field of view.
        width: left to right, relative to front to back.
        feet: share of the slices left out at the feet.
    """

    turn_deg: float = 0.0
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    width: float = 1.0
    feet: float = 0.0


@dataclass(frozen=True)
class Poses:
    """How far drawn poses go.

    Attributes:
        zoom: most change of size, as a share.
        width: most change of the width alone, likewise; depth changes the other way, the area stays.
        feet: most of the slices left out at the feet, as a share.
    """

    zoom: float = 0.1
    width: float = 0.0
    feet: float = 0.0


SMALL = Poses()


def draw_pose(generator: torch.Generator, poses: Poses = SMALL) -> Pose:
    """Draw a pose: within 6 degrees, 4 % of the field of view, and what ``poses`` allows; never mirrored."""
    turn, zoom, rows, columns = (torch.rand(4, generator=generator) * 2 - 1).tolist()
    width = feet = 0.0
    if poses.width or poses.feet:  # no draw where there is no choice: poses of before it stay the same
        width, feet = torch.rand(2, generator=generator).tolist()
    return Pose(
        turn_deg=6.0 * turn,
        zoom=1.0 + poses.zoom * zoom,
        shift=(0.04 * rows, 0.04 * columns),
        width=1.0 + poses.width * (2 * width - 1),
        feet=poses.feet * feet,
    )


def pose_matrix(pose: Pose, field: float = 1.0, centre: tuple[float, float] = (0.0, 0.0)) -> list[list[float]]:
    """Return the (2, 3) matrix that ``torch.nn.functional.affine_grid`` takes for a pose.

    Args:
        pose: how the patient lies in the frame.
        field: side of the frame over the side of the image.
        centre: (row, column) of the frame's middle in the image, from -1 to 1.
    """
    reach = field / pose.zoom
    cos, sin = (f(math.radians(pose.turn_deg)) * reach for f in (math.cos, math.sin))
    down, right = (at - 2 * shift * reach for at, shift in zip(centre, pose.shift, strict=True))
    wide = math.sqrt(pose.width)
    return [[cos / wide, -sin / wide, right], [sin * wide, cos * wide, down]]


def body_centre(hu: Tensor) -> tuple[float, float]:
    """Return the (row, column) of the body's middle in slices (n, H, W) of HU, in pixels.

    The middle of the image where nothing lies above :data:`~ctgrid.metrics.regions.BODY_HU`.
    """
    coarse = interpolate((hu > BODY_HU).float()[:, None], scale_factor=0.25, mode="area")[:, 0].mean(dim=0)
    centre = []
    for axis in (1, 0):
        present = torch.nonzero(coarse.mean(dim=axis) > BODY_SHARE).flatten()
        length = coarse.shape[1 - axis]
        middle = float(present[0] + present[-1]) / 2 + 0.5 if len(present) else length / 2
        centre.append(4 * middle - 0.5)
    return centre[0], centre[1]


NODE_MM = 50.0
"""Distance of the nodes whose displacements are drawn; between them they are interpolated smoothly."""


def draw_deformation(volume: VolumeSlices, fov_mm: float, deviation_mm: float, generator: torch.Generator) -> Tensor:
    """Draw a smooth displacement within the axial plane that varies along z as well.

    Args:
        volume: what is to be deformed.
        fov_mm: side of the frame.
        deviation_mm: standard deviation of the displacement of a node, mm.
        generator: source of the draws.

    Returns:
        (slices, 2, m, m) displacements (columns, rows) in mm, m nodes along the frame's side.
    """
    count = max(2, round(fov_mm / NODE_MM) + 1)
    along = max(2, round(len(volume) * volume.spacing_mm[0] / NODE_MM) + 1)
    nodes = torch.randn(along, 2 * count * count, generator=generator) * deviation_mm
    of_slices = interpolate(nodes.T[None, :, :, None], size=(len(volume), 1), mode="bicubic", align_corners=True)
    return of_slices[0, :, :, 0].T.reshape(len(volume), 2, count, count)


def frame(
    volume: VolumeSlices, fov_mm: float, size: int, pose: Pose | None = None, deformation: Tensor | None = None
) -> Tensor:
    """Resample a volume's slices into the frame, air outside.

    Args:
        volume: slices in canonical orientation with their spacing.
        fov_mm: side of the square field of view.
        size: pixels along it.
        pose: how the patient lies in it; None is centred and straight.
        deformation: of :func:`draw_deformation`; None leaves the patient's shape as it is.

    Returns:
        (n, size, size) float32 in [-1, 1]; fewer slices where the pose leaves some out.
    """
    pose = pose or Pose()
    side = volume.hu.shape[-1]
    row, column = body_centre(volume.hu)
    centre = ((2 * row + 1) / side - 1, (2 * column + 1) / side - 1)
    theta = torch.tensor(pose_matrix(pose, fov_mm / (volume.spacing_mm[1] * side), centre))[None]
    grid = affine_grid(theta, [1, 1, size, size], align_corners=False)
    framed = torch.empty(len(volume.hu), size, size)
    for first in range(0, len(volume.hu), 32):
        part = (volume.unit(slice(first, first + 32)) + 1.0)[None]  # so that the padding, zero, is air
        at = grid
        if deformation is not None:
            shift = interpolate(deformation[first : first + 32], size=(size, size), mode="bicubic", align_corners=True)
            at = grid + shift.permute(0, 2, 3, 1) * (2 / (volume.spacing_mm[1] * side))
            part = part.transpose(0, 1)
        sampled = grid_sample(part, at, mode="bilinear", padding_mode="zeros", align_corners=False)
        framed[first : first + 32] = sampled.flatten(0, 1)
    return framed[int(pose.feet * len(framed)) :] - 1.0
