"""How sharp the borders of planted nodules are."""

from __future__ import annotations

import math

import numpy as np

from ctgrid.metrics.edge_response import REACH_MM, edge_response
from ctgrid.runs.evaluation.nodules import Nodule, box_around

LEAST_MM, LEAST_HU = 8.0, 200.0
"""Nodules whose borders are looked at: smaller ones have no even middle, fainter ones drown in noise."""


def nodule_edges(
    hu: np.ndarray, bare: np.ndarray, nodules: list[Nodule], spacing_mm: tuple[float, float, float]
) -> tuple[float | None, float | None]:
    """Return the width of large nodules' borders (10 to 90 %, mm) and where their TTF is a half (per mm).

    All nodules together, in the slice next to each one's centre; see :mod:`ctgrid.metrics.edge_response`.

    Args:
        hu: (n, y, x) with nodules.
        bare: the clean scan without them, of the same shape.
        nodules: all that were planted.
        spacing_mm: (z, y, x).

    Returns:
        Both; None where there are no large nodules, or no border is left.
    """
    away, added, contrast = [], [], []
    for nodule in nodules:
        if nodule.diameter_mm < LEAST_MM or nodule.contrast_hu < LEAST_HU:
            continue
        radius = nodule.diameter_mm / 2
        box, (z, y, x) = box_around(hu.shape, nodule.centre, spacing_mm, radius + REACH_MM)
        middle = int(np.abs(z).argmin())
        here = (box[0].start + middle, *box[1:])
        across = math.sqrt(max(radius**2 - z[middle] ** 2, 0.0))
        distance = np.hypot(y[:, None], x) - across
        away.append(distance.ravel())
        added.append((hu[here].astype(np.float64) - bare[here]).ravel())
        contrast.append(np.full(distance.size, nodule.contrast_hu))
    if not away:
        return None, None
    found = edge_response(np.concatenate(away), np.concatenate(added), np.concatenate(contrast))
    if found is None:
        return None, None
    f50 = found.f50_per_mm
    return round(found.width_mm, 3), round(f50, 4) if math.isfinite(f50) else None
