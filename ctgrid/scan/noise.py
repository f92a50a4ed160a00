"""How noisy a scan is, in HU."""

from __future__ import annotations

from typing import Any

import numpy as np

from ctgrid.scan.volume import Volume

SLICES = 15
"""Slices looked at, evenly spaced: enough for a median, and quick."""

SOFT_TISSUE_HU = (-300.0, 300.0)
"""Where noise is measured: air is often clipped at its lower end, lungs and bone are full of edges."""

LEAST_COEFFICIENTS = 500
"""A slice with less soft tissue than this does not count."""

REACH = 2
"""Slices on either side that have a say in a slice's noise."""


def estimate_noise(volume: Volume) -> float:
    """Estimate the standard deviation of a scan's noise, in HU.

    The median over slices of Donoho & Johnstone's (1994) wavelet estimator: the median absolute value of the
    finest diagonal coefficients, over 0.6745, taken where the local mean is that of soft tissue. Noise that
    is correlated between pixels (smooth kernels) is underestimated.

    Args:
        volume: the scan.

    Returns:
        The estimate; 0 where neither a slice nor all of them together hold enough soft tissue.
    """
    chosen = np.unique(np.linspace(0, len(volume.hu) - 1, SLICES).round().astype(int))
    found = [soft_coefficients(volume.hu[index]) for index in chosen]
    sigmas = [_spread(values) for values in found if values.size >= LEAST_COEFFICIENTS]
    if sigmas:
        return float(np.median(sigmas))
    together = np.concatenate(found)  # small slices
    return _spread(together) if together.size >= LEAST_COEFFICIENTS else 0.0


def estimate_noise_per_slice(volume: Volume) -> np.ndarray:
    """Estimate the noise of every slice along the file's z, in HU; see :func:`estimate_noise`.

    Args:
        volume: the scan.

    Returns:
        (n,) float64; NaN for slices with too little soft tissue to tell.
    """
    estimates = (slice_noise(plane) for plane in volume.hu)
    return np.array([np.nan if sigma is None else sigma for sigma in estimates])


def smoothed(per_slice: np.ndarray, level_hu: float) -> np.ndarray:
    """Return the noise that every slice is denoised by, where estimates of single slices are to be trusted.

    A running median over five slices; slices that cannot tell take the volume's level, and none is further than a
    factor of two from it.

    Args:
        per_slice: (n,) HU as of :func:`estimate_noise_per_slice`.
        level_hu: the volume's.

    Returns:
        (n,) float64 in HU.
    """
    known = np.where(np.isfinite(per_slice), per_slice, level_hu)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(known, REACH, mode="edge"), 2 * REACH + 1)
    return np.asarray(np.median(windows, axis=-1).clip(level_hu / 2, level_hu * 2))


def summary_of(per_slice: np.ndarray) -> dict[str, Any]:
    """Return estimates per slice in JSON-able form: ``values``, ``lowest``, ``median``, ``highest``, ``told``.

    Args:
        per_slice: (n,) as of :func:`estimate_noise_per_slice`.
    """
    told = per_slice[np.isfinite(per_slice)]
    values = [round(float(sigma), 1) if np.isfinite(sigma) else None for sigma in per_slice]
    facts: dict[str, Any] = {"slices": len(per_slice), "told": len(told), "values": values}
    if len(told):
        low, middle, high = np.quantile(told, (0, 0.5, 1))
        facts |= {"lowest": round(float(low), 2), "median": round(float(middle), 2), "highest": round(float(high), 2)}
    return facts


def slice_noise(hu: np.ndarray) -> float | None:
    """Estimate the noise of one slice (y, x), in HU; None where it holds too little soft tissue."""
    values = soft_coefficients(hu)
    return _spread(values) if values.size >= LEAST_COEFFICIENTS else None


def soft_coefficients(hu: np.ndarray) -> np.ndarray:
    """Return the absolute finest diagonal wavelet coefficients in the soft tissue of a slice (y, x), in HU."""
    import pywt

    mean, (_, _, diagonal) = pywt.dwt2(hu.astype(np.float32), "db2")
    low, high = (2 * bound for bound in SOFT_TISSUE_HU)  # an approximation coefficient is twice the mean
    return np.asarray(np.abs(diagonal[(mean > low) & (mean < high)]))


def _spread(coefficients: np.ndarray) -> float:
    """Return the standard deviation of Gaussian noise with such absolute values."""
    return float(np.median(coefficients)) / 0.6745
