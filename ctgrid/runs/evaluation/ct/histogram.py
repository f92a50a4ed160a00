"""How often each HU value occurs, and how far two such histograms lie apart."""

from __future__ import annotations

import numpy as np

from ctgrid.runs.evaluation.ct.shrunk import enlarged
from ctgrid.scan.protocols.resample import SCALE_HU

LEVELS = 2 * int(SCALE_HU) + 1
"""Whole HU from -1000 to 1000."""

BIN_HU = 10
"""Width of the bins in which shapes are compared: a chest has too few voxels of each single HU."""


def counts_of(hu: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Return the share of voxels of each whole HU from -1000 to 1000.

    Args:
        hu: (n, S, S) int16, clipped to [-1000, 1000].
        mask: (n, s, s) bool of blocks of pixels, as :func:`ctgrid.runs.evaluation.ct.shrunk.shrunk` makes them, those
            to count; None counts all.

    Returns:
        (2001,) float64 that sums to 1; zeros where nothing is counted.
    """
    counts = np.zeros(LEVELS)
    for i, image in enumerate(hu):
        values = image.ravel()
        if mask is not None:
            values = image[enlarged(mask[i], image.shape[0])]
        counts += np.bincount(values.astype(np.int32) + int(SCALE_HU), minlength=LEVELS)
    total = counts.sum()
    return np.asarray(counts / total) if total else counts


def wasserstein_hu(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Wasserstein-1 distance of two histograms in HU: the area between their running sums, exact.

    Args:
        a: (2001,) shares of each whole HU.
        b: likewise.
    """
    if not a.any() or not b.any():
        return float("nan")
    return float(np.abs(np.cumsum(a) - np.cumsum(b)).sum())


def jensen_shannon(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Jensen-Shannon divergence in bits, 0 (equal) to 1 (nothing in common), in bins of 10 HU.

    Args:
        a: (2001,) shares of each whole HU.
        b: likewise.
    """
    if not a.any() or not b.any():
        return float("nan")
    p, q = binned(a), binned(b)
    middle = (p + q) / 2

    def relative(x: np.ndarray) -> float:
        there = x > 0
        return float((x[there] * np.log2(x[there] / middle[there])).sum())

    return max(0.0, (relative(p) + relative(q)) / 2)


def binned(shares: np.ndarray) -> np.ndarray:
    """Return shares (200,) of bins of 10 HU from (2001,) of single ones; 1000 HU counts in the last."""
    edges = np.arange(0, LEVELS - 1, BIN_HU)
    return np.asarray(np.add.reduceat(shares, edges))
