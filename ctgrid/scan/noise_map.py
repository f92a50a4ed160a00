"""How noise varies over a slice: known where there is soft tissue, and carried over to what lies between."""

from __future__ import annotations

import numpy as np

CELL = 8
"""Pixels of a slice along a cell of its map."""

REACH_MM = 20.0
"""Standard deviation of the Gaussian that levels the map: noise changes as smoothly as the paths of rays do."""

LEAST_SHARE = 0.02
"""How much soft tissue, of all within reach, counts as much as all of the slice does."""


def carried_over(variance: np.ndarray, weight: np.ndarray, cell_mm: tuple[float, float]) -> np.ndarray:
    """Return the noise in every cell, by normalised convolution (Knutsson & Westin 1993).

    Args:
        variance: of the noise in each cell, HU² (y, x); anything where there is no weight.
        weight: how much each cell knows of it, 0 to 1, not 0 everywhere.
        cell_mm: size of a cell (y, x).

    Returns:
        The standard deviation in HU, (y, x) float64.
    """
    from scipy.ndimage import gaussian_filter

    sigma = [REACH_MM / mm for mm in cell_mm]
    known = np.where(weight > 0, variance, 0.0) * weight
    whole = known.sum() / weight.sum()
    shares = (gaussian_filter(part, sigma, mode="nearest") for part in (known, weight.astype(np.float64)))
    above, below = shares
    return np.asarray(np.sqrt((above + LEAST_SHARE * whole) / (below + LEAST_SHARE)))
