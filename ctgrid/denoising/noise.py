"""How noisy a scan is, in HU."""

from __future__ import annotations

import numpy as np

from ctgrid.volume import Volume

SLICES = 15
"""Slices looked at, evenly spaced: enough for a median, and quick."""

PADDING_HU = -1000.0
"""Padding beyond the scanner's field of view (-2000 and the like) is raised to air."""


def estimate_noise(volume: Volume) -> float:
    """Estimate the standard deviation of a scan's noise, in HU.

    The median over slices of scikit-image's wavelet estimator (Donoho & Johnstone 1994): the median absolute
    value of the finest diagonal coefficients, over 0.6745; coefficients that are exactly zero do not count.
    Noise that is correlated between pixels (smooth kernels) is underestimated.

    Args:
        volume: the scan.
    """
    from skimage.restoration import estimate_sigma

    chosen = np.unique(np.linspace(0, len(volume.hu) - 1, SLICES).round().astype(int))
    planes = (np.maximum(volume.hu[index].astype(np.float32), PADDING_HU) for index in chosen)
    sigmas = np.array([estimate_sigma(plane) for plane in planes])
    return float(np.nanmedian(sigmas)) if np.isfinite(sigmas).any() else 0.0
