"""One field of view in mm for the slices of any volume, so that what was written in another field is found again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctgrid.runs.evaluation.ct.chest_frame import FIELD_MM
from ctgrid.runs.evaluation.ct.shrunk import SIDE_PX, clipped, shrunk
from ctgrid.scan.protocols.resample import SCALE_HU

if TYPE_CHECKING:
    from ctgrid.runs.evaluation.samples import Slices

FINE = 2
"""Samples to a pixel's side, of which the mean is taken."""


def in_field(volume: Slices, side: int = SIDE_PX) -> np.ndarray:
    """Return slices in a square of :data:`FIELD_MM` around the body, framed as training frames scans.

    Args:
        volume: (n, S, S) with pixels of one spacing.
        side: pixels along the square.

    Returns:
        (n, side, side) int16 in HU, air where the square reaches beyond the slices.
    """
    import torch

    from ctgrid.data.framing import frame
    from ctgrid.data.volumes import VolumeSlices

    slices = VolumeSlices("", torch.from_numpy(clipped(volume.hu)), volume.spacing_mm)
    hu = frame(slices, FIELD_MM, FINE * side).mul_(SCALE_HU).numpy()
    return np.rint(shrunk(hu, side)).astype(np.int16)
