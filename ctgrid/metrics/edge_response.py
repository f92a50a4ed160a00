"""How sharp round inserts stay: their edge-spread function, its width, and the task transfer function.

The circular-edge method (Richard et al. 2012, Med Phys 39:4115): pixels around many inserts of known place are sorted
by their distance from the edge and averaged, so that noise averages out and the edge does not. The derivative of that
edge-spread function is the line-spread function, whose Fourier transform over its value at 0 is the task transfer
function TTF(f). As methods that follow the picture treat strong edges better than weak ones, it holds for the contrast
and the noise that it was measured with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctgrid.base.errors import CtgridError

REACH_MM, STEP_MM = 4.0, 0.25
"""How far from the edge pixels count, on either side, and the width of the bins that they are averaged in."""

PLATEAU_MM = 2.5
"""Further from the edge than this an insert is taken to have its full contrast, or none."""

FREQUENCIES_PER_MM = np.arange(0, 2, 0.005)


@dataclass(frozen=True)
class EdgeResponse:
    """What is left of an edge.

    Attributes:
        distance_mm: (m,) from the edge, negative inside.
        spread: (m,) edge-spread function, as shares of the contrast that was planted.
        contrast: its step, far inside less far outside: 1 keeps all.
        width_mm: distance in which it falls from 90 to 10 % of its own step.
        f50_per_mm: frequency at which the TTF is a half.
    """

    distance_mm: np.ndarray
    spread: np.ndarray
    contrast: float
    width_mm: float
    f50_per_mm: float


def edge_response(
    distance_mm: np.ndarray, added_hu: np.ndarray, contrast_hu: np.ndarray | float
) -> EdgeResponse | None:
    """Measure edges of inserts of one or several contrasts.

    Of inserts of several contrasts each counts by the square of its own, as in least squares of equal noise.

    Args:
        distance_mm: of pixels from the edge of their insert, negative inside; any shape.
        added_hu: the picture less what it would be without inserts, of that shape.
        contrast_hu: that was planted there, of that shape or one for all.

    Returns:
        The response; None where some bin holds no pixel, or no step is left.

    Raises:
        CtgridError: where the shapes differ.
    """
    distance, added = np.ravel(distance_mm), np.ravel(added_hu).astype(np.float64)
    contrast = np.ravel(np.broadcast_to(np.asarray(contrast_hu, np.float64), np.shape(distance_mm)))
    if distance.shape != added.shape:
        raise CtgridError(f"edges need one shape, got {np.shape(distance_mm)} and {np.shape(added_hu)}")
    count = round(2 * REACH_MM / STEP_MM)
    bins = np.floor((distance + REACH_MM) / STEP_MM).astype(int)
    near = (bins >= 0) & (bins < count)
    bins, added, contrast = bins[near], added[near], contrast[near]
    weight = np.bincount(bins, contrast**2, count)
    if not (weight > 0).all():
        return None
    spread = np.bincount(bins, contrast * added, count) / weight
    middle = np.bincount(bins, contrast**2 * distance[near], count) / weight
    return _response(middle, spread, weight)


def _response(middle: np.ndarray, spread: np.ndarray, weight: np.ndarray) -> EdgeResponse | None:
    """Return what an edge-spread function (m,) over distances (m,) says; bins count by their weight."""
    from scipy.optimize import isotonic_regression

    inside, outside = (
        np.average(spread[far], weights=weight[far]) for far in (middle < -PLATEAU_MM, middle > PLATEAU_MM)
    )
    step = float(inside - outside)
    if step <= 0:
        return None
    falling = isotonic_regression((spread - outside) / step, weights=weight, increasing=False).x.clip(0, 1)
    ninety, ten = (_crossing(middle, falling, level) for level in (0.9, 0.1))
    fall = -np.diff(falling)
    at = (middle[1:] + middle[:-1]) / 2
    turns = np.exp(-2j * np.pi * FREQUENCIES_PER_MM[:, None] * at)
    transfer = np.abs(turns @ fall) / fall.sum()
    below = int(np.argmax(transfer < 0.5))  # 0, the first, where it never falls so low
    f50 = (
        float(np.interp(0.5, transfer[[below, below - 1]], FREQUENCIES_PER_MM[[below, below - 1]])) if below else np.nan
    )
    return EdgeResponse(middle, spread, step, ten - ninety, f50)


def _crossing(at: np.ndarray, falling: np.ndarray, level: float) -> float:
    """Return where a function (m,) that never rises passes a level."""
    first = int(np.argmax(falling < level))
    above = max(first - 1, 0)
    return float(np.interp(level, falling[[first, above]], at[[first, above]]))
