"""How a model's slices become a volume: the order of its axes, their directions, and their spacing in mm."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from torch import Tensor

from ctgrid.methods.synthesis.settings import Settings
from ctgrid.scan.geometry import centred_affine
from ctgrid.stages.models.bundle import Bundle
from ctgrid.stages.models.facts import StageFacts

SLICE_MM = 1.5
"""Distance of a training volume's slices where a model does not know their extent."""

PIXEL_MM = 0.75
"""Likewise the pixels' distance."""

Array = TypeVar("Array", Tensor, np.ndarray)


def rows_follow_x(orientation: str) -> bool:
    """Whether rows run from side to side and columns from front to back, as those of protocol ``generatect`` do."""
    return orientation[0] in "AP"


def as_written(slices: Array, orientation: str) -> Array:
    """Give slices the order of axes in which they are written: x from side to side, as scanners' files have it.

    So a file that a model of ``generatect`` slices makes has the order of the files that it was trained on.

    Args:
        slices: (n, rows, columns).
        orientation: of the model's slices.
    """
    return slices.swapaxes(1, 2) if rows_follow_x(orientation) else slices


def written_orientation(orientation: str) -> str:
    """Return the axis codes (x, y, z) of what :func:`as_written` returns."""
    return orientation[1] + orientation[0] + orientation[2] if rows_follow_x(orientation) else orientation


def slice_mm(bundle: Bundle, settings: Settings) -> float:
    """Return the distance of the slices that settings ask for, in mm.

    With absolute z they share out the extent of a training volume. Without, a grid's cells are slices of a training
    volume, ``stride`` of them apart, however many are made: those that extend a grid, and those of the grids that
    Algorithm 2 fills in, of which every slice of its volumes is one.

    Args:
        bundle: the model.
        settings: resolved.
    """
    facts = bundle.facts1
    if bundle.stage1.absolute_z:
        return (facts.extent_mm or SLICE_MM * facts.slices) / settings.slices
    own = facts.extent_mm / facts.slices if facts.extent_mm else SLICE_MM
    return own * facts.stride


def field_mm(facts: StageFacts) -> float:
    """Return the side of a model's slices in mm."""
    return facts.fov_mm or PIXEL_MM * facts.size


def synthetic_affine(facts: StageFacts, shape: tuple[int, int, int], step_mm: float) -> np.ndarray:
    """Return the affine (4, 4) of a synthetic volume as written, centred on the origin, RAS+ mm.

    Args:
        facts: of the model.
        shape: (z, y, x), y and x alike.
        step_mm: distance of slices.
    """
    pixel = field_mm(facts) / shape[2]
    return centred_affine(written_orientation(facts.orientation), (step_mm, pixel, pixel), shape)
