"""One frame for volumes of any field, size and number of slices, so that their detail can be compared in HU."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ctgrid.metrics.regions import BODY_HU, LUNG_BELOW_HU
from ctgrid.runs.evaluation.ct.masks import eroded, filled, largest, opened
from ctgrid.runs.evaluation.ct.square import cut, resized
from ctgrid.scan.protocols.body import body_centre
from ctgrid.scan.protocols.resample import linear_taps

FIELD_MM = 340.0
"""Side of the frame."""

SIDE_PX = 256
"""Pixels along it: 1.33 mm."""

INSIDE_PX = 4
"""Width of the body's rim."""

HEIGHTS = 201
"""Slices that share out a volume's extent evenly."""

MIDDLE = slice(40, 161)
"""Those that are measured, both ends included: from the liver to the top of the lungs."""

WHOLE_MM = 220.0
"""A volume of less extent along z is no whole chest: its slices in the frame lie too near each other."""

THICK_MM = 3.5
"""Slices further apart are blurred along z by what must be interpolated between them."""


@dataclass(frozen=True)
class ChestFrame:
    """The middle of a chest in the frame.

    Attributes:
        hu: (121, 256, 256) float32, clipped to [-1000, 1000].
        body: bool, above -300 HU, opened by a disc of 5 pixels (no table), the largest part, holes filled by slice.
        lungs: bool, below -500 HU inside the body.
        step_mm: distance of slices.
        extent_mm: of the whole volume.
        spacing_mm: along z, of the volume as it came.
    """

    hu: np.ndarray
    body: np.ndarray
    lungs: np.ndarray
    step_mm: float
    extent_mm: float
    spacing_mm: float

    @property
    def pixel_mm(self) -> float:
        """Side of a pixel."""
        return FIELD_MM / self.hu.shape[2]

    @cached_property
    def inside(self) -> np.ndarray:
        """The body less its rim: skin and table are none of its detail."""
        return eroded(self.body, INSIDE_PX)

    @property
    def whole(self) -> bool:
        """Whether the volume is long enough for a chest, so that heights mean the same."""
        return self.extent_mm >= WHOLE_MM

    @property
    def fine(self) -> bool:
        """Whether its slices lie near enough for detail along z."""
        return self.whole and self.spacing_mm <= THICK_MM


def chest_frame(hu: np.ndarray, spacing_mm: tuple[float, float, float]) -> ChestFrame:
    """Bring a volume into the frame: cut out around the body, resized (antialiased bicubic), linear along z.

    Args:
        hu: (n, S, S) int16 within [-1000, 1000], feet to head; air is put where the frame reaches beyond it.
        spacing_mm: (z, y, x).
    """
    lower, upper, weight = (taps[MIDDLE] for taps in linear_taps(len(hu), HEIGHTS))
    centre = body_centre(hu, spacing_mm)
    planes = resized(cut(hu[lower[0] : upper[-1] + 1], centre, spacing_mm, FIELD_MM), SIDE_PX)
    share = weight[:, None, None].astype(np.float32)
    framed = planes[lower - lower[0]] * (1 - share) + planes[upper - lower[0]] * share
    body = filled(largest(opened(framed > BODY_HU)))
    extent = len(hu) * spacing_mm[0]
    return ChestFrame(framed, body, (framed < LUNG_BELOW_HU) & body, extent / HEIGHTS, extent, spacing_mm[0])
