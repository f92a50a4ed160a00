"""How large body and lungs are at every height."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ctgrid.metrics.regions import body_mask, lung_mask

HEIGHTS = 50
"""Points of a curve along relative z."""


@dataclass(frozen=True)
class Anatomy:
    """Body and lungs of one volume.

    Attributes:
        body_mm2: (n,) area in each slice, from the feet.
        lung_mm2: likewise.
        body_hu: (n,) mean HU inside the body; NaN where there is none.
        body: (n, s, s) bool, on shrunk slices.
        spacing_mm: (z, y, x) of the shrunk slices.
    """

    body_mm2: np.ndarray
    lung_mm2: np.ndarray
    body_hu: np.ndarray
    body: np.ndarray
    spacing_mm: tuple[float, float, float]

    @property
    def lung_litres(self) -> float:
        """Volume of the lungs and the air in them."""
        return float(self.lung_mm2.sum()) * self.spacing_mm[0] / 1e6


def find_anatomy(small: np.ndarray, side: int, spacing_mm: tuple[float, float, float]) -> Anatomy:
    """Measure body and lungs (see :mod:`ctgrid.metrics.regions`) on shrunk slices.

    Args:
        small: (n, s, s) HU, see :func:`ctgrid.runs.evaluation.ct.shrunk.shrunk`.
        side: S, pixels of the slices before.
        spacing_mm: (z, y, x) of the slices before.
    """
    factor = -(-side // small.shape[1])
    spacing = spacing_mm[0], spacing_mm[1] * factor, spacing_mm[2] * factor
    pixel = spacing[1] * spacing[2]
    body = body_mask(small)
    count = body.sum(axis=(1, 2))
    total = np.where(body, small, 0).sum(axis=(1, 2))
    levels = np.divide(total, count, out=np.full(len(small), np.nan), where=count > 0)
    return Anatomy(count * pixel, lung_mask(small, spacing, body).sum(axis=(1, 2)) * pixel, levels, body, spacing)


def curve(values: np.ndarray, points: int = HEIGHTS) -> np.ndarray:
    """Return values of slices (n,) at evenly spaced relative heights (points,), slices being cells of the extent."""
    height = (np.arange(len(values)) + 0.5) / len(values)
    return np.interp((np.arange(points) + 0.5) / points, height, values)


def curve_distance(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
    """Return the mean absolute difference of two mean curves, in the curves' unit.

    Args:
        a: curves (points,) of some volumes.
        b: of others.
    """
    return float(np.abs(np.mean(a, axis=0) - np.mean(b, axis=0)).mean())
