"""How noisy a scan is, in HU."""

from __future__ import annotations

import numpy as np

from ctgrid.volume import Volume

SLICES = 15
"""Slices looked at, evenly spaced: enough for a median, and quick."""

SOFT_TISSUE_HU = (-300.0, 300.0)
"""Where noise is measured: air is often clipped at its lower end, lungs and bone are full of edges."""

LEAST_COEFFICIENTS = 500
"""A slice with less soft tissue than this does not count."""


def estimate_noise(volume: Volume) -> float:
    """Estimate the standard deviation of a scan's noise, in HU.

    The median over slices of Donoho & Johnstone's (1994) wavelet estimator: the median absolute value of the
    finest diagonal coefficients, over 0.6745, taken where the local mean is that of soft tissue. Noise that
    is correlated between pixels (smooth kernels) is underestimated.

    Args:
        volume: the scan.

    Returns:
        The estimate; 0 where no slice holds enough soft tissue.
    """
    chosen = np.unique(np.linspace(0, len(volume.hu) - 1, SLICES).round().astype(int))
    sigmas = [sigma for sigma in (slice_noise(volume.hu[index]) for index in chosen) if sigma is not None]
    return float(np.median(sigmas)) if sigmas else 0.0


def slice_noise(hu: np.ndarray) -> float | None:
    """Estimate the noise of one slice (y, x), in HU; None where it holds too little soft tissue."""
    import pywt

    mean, (_, _, diagonal) = pywt.dwt2(hu.astype(np.float32), "db2")
    low, high = (2 * bound for bound in SOFT_TISSUE_HU)  # an approximation coefficient is twice the mean
    inside = np.abs(diagonal[(mean > low) & (mean < high)])
    return float(np.median(inside)) / 0.6745 if inside.size >= LEAST_COEFFICIENTS else None
