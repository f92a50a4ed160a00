"""How sharp, detailed and steady a chest is, in :mod:`ctgrid.runs.evaluation.ct.chest_frame`'s frame."""

from __future__ import annotations

from functools import reduce

import numpy as np

from ctgrid.metrics.regions import TISSUES_HU
from ctgrid.runs.evaluation.ct.chest_frame import ChestFrame
from ctgrid.runs.evaluation.ct.masks import eroded

LUNG_SIGMA_PX = 4.0
"""Detail of the lungs is what a Gaussian of this width takes away: vessels, fissures, noise."""

STREAK_SIGMA_PX = 1.0
STREAK_SLICES = 9
"""Slices over which a streak is averaged; noise that knows nothing of its neighbours keeps a ninth."""

SHARPEST = 99
"""Percentile of steps."""

LEAST_VOXELS = 1000
"""Fewer tell nothing."""


def steps_hu(frame: ChestFrame) -> tuple[float, float]:
    """Return the 99th percentiles of |difference| of neighbouring voxels inside the body: along rows, and along z.

    Args:
        frame: of a volume; the second is NaN where its slices lie too far apart.
    """
    inside, hu = frame.inside, frame.hu
    across = np.abs(np.diff(hu, axis=2))[inside[:, :, 1:] & inside[:, :, :-1]]
    along = np.abs(np.diff(hu, axis=0))[inside[1:] & inside[:-1]] if frame.fine else np.empty(0)
    return _percentile(across), _percentile(along)


def _percentile(values: np.ndarray) -> float:
    return float(np.percentile(values, SHARPEST)) if len(values) >= LEAST_VOXELS else float("nan")


def lung_detail_hu(frame: ChestFrame) -> float:
    """Return the standard deviation of what a Gaussian takes from the lungs, one pixel away from their border."""
    inside = eroded(frame.lungs)
    if inside.sum() < LEAST_VOXELS:
        return float("nan")
    return float(high_pass(frame.hu, LUNG_SIGMA_PX, inside)[inside].std())


def high_pass(hu: np.ndarray, sigma_px: float, where: np.ndarray) -> np.ndarray:
    """Return slices (n, y, x) less what an in-plane Gaussian leaves of them, 0 outside a box around ``where``."""
    from scipy.ndimage import gaussian_filter1d

    rows, columns = (np.flatnonzero(where.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    reach = int(4 * sigma_px + 0.5)  # of scipy's Gaussian
    box = np.s_[:, max(rows[0] - reach, 0) : rows[-1] + reach + 1, max(columns[0] - reach, 0) : columns[-1] + reach + 1]
    found = np.zeros_like(hu)
    found[box] = hu[box] - gaussian_filter1d(gaussian_filter1d(hu[box], sigma_px, axis=1), sigma_px, axis=2)
    return found


def streaks(frame: ChestFrame) -> float:
    """Return the share of the in-plane high-pass energy in soft tissue that a mean over 9 slices along z keeps.

    1 is one pattern printed into every slice; a ninth is slices that know nothing of each other. Voxels count where
    all nine slices are soft tissue (-100 to 200 HU) with soft tissue around, so that edges of organs count little.

    Args:
        frame: of a volume; NaN where its slices lie too far apart.
    """
    from scipy.ndimage import uniform_filter1d

    if not frame.fine:
        return float("nan")
    low, high = TISSUES_HU["soft"]
    soft = eroded((frame.hu > low) & (frame.hu < high) & frame.inside)
    edge = STREAK_SLICES // 2
    middles = len(soft) - 2 * edge
    through = reduce(np.logical_and, (soft[i : i + middles] for i in range(STREAK_SLICES)))
    if through.sum() < LEAST_VOXELS:
        return float("nan")
    texture = high_pass(frame.hu, STREAK_SIGMA_PX, through)
    kept = uniform_filter1d(texture, STREAK_SLICES, axis=0)[edge:-edge][through]
    whole = texture[edge:-edge][through]
    energy = float(np.mean(whole.astype(np.float64) ** 2))
    return float(np.mean(kept.astype(np.float64) ** 2)) / energy if energy else float("nan")


def area_change(frame: ChestFrame) -> float:
    """Return the 95th percentile of |change| of the body's area from slice to slice, as a share of its mean.

    Args:
        frame: of a volume; NaN where it is no whole chest or shows no body.
    """
    area = frame.body.sum(axis=(1, 2)).astype(np.float64)
    if not frame.whole or not area.any():
        return float("nan")
    return float(np.percentile(np.abs(np.diff(area)), 95) / area.mean())
