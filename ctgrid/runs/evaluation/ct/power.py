"""How fine the structure of slices is: the radial power spectrum, and how it differs between volumes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ctgrid.metrics.spectrum import noise_power_spectrum

MOST_SLICES = 32
"""Slices transformed per volume, evenly spaced."""

CHUNK = 8
POINTS = 48
"""Frequencies at which volumes of different spacing are compared."""

FLOOR = 1e-3
"""HU² mm²: power below this is nothing."""

BANDS = {"coarse": (0.0, 0.2), "middle": (0.2, 0.5), "fine": (0.5, 1.0)}
"""Shares of the highest common frequency."""

Spectrum = tuple[np.ndarray, np.ndarray]
"""Frequencies in 1/mm, and power in dB of HU² mm², both (m,)."""


def spectrum_db(hu: np.ndarray, spacing_mm: tuple[float, float]) -> Spectrum:
    """Return the radial power spectrum of slices, averaged over slices.

    A Hann window takes away what the picture's edges would add; the power that it takes is given back.

    Args:
        hu: (n, S, S) in HU.
        spacing_mm: (y, x).
    """
    chosen = np.unique(np.linspace(0, len(hu) - 1, min(MOST_SLICES, len(hu))).round().astype(int))
    window = np.outer(np.hanning(hu.shape[1]), np.hanning(hu.shape[2]))
    window /= np.sqrt(np.mean(window**2))
    total, frequency = np.zeros(1), np.empty(0)
    for first in range(0, len(chosen), CHUNK):
        images = hu[chosen[first : first + CHUNK]].astype(np.float64)
        images = (images - images.mean(axis=(1, 2), keepdims=True)) * window
        frequency, part = noise_power_spectrum(images, spacing_mm)
        total = total + part * len(images)
    return frequency, 10 * np.log10(np.maximum(total / len(chosen), FLOOR))


def common_frequencies(spectra: Sequence[Spectrum]) -> np.ndarray:
    """Return frequencies in 1/mm, evenly spaced, that all spectra reach."""
    low = max(float(frequency[0]) for frequency, _ in spectra)
    high = min(float(frequency[-1]) for frequency, _ in spectra)
    return np.linspace(low, max(high, low), POINTS)


def mean_db(spectra: Sequence[Spectrum], frequencies: np.ndarray) -> np.ndarray:
    """Return the mean of spectra in dB at common frequencies."""
    return np.mean([np.interp(frequencies, frequency, db) for frequency, db in spectra], axis=0)


def log_distance_db(real: Sequence[Spectrum], fake: Sequence[Spectrum], frequencies: np.ndarray) -> float:
    """Return the mean absolute difference of two mean spectra in dB, over all frequencies alike."""
    return float(np.abs(mean_db(fake, frequencies) - mean_db(real, frequencies)).mean())


def band_bias_db(real: Sequence[Spectrum], fake: Sequence[Spectrum], frequencies: np.ndarray, band: str) -> float:
    """Return how much more power the second has in one of :data:`BANDS`: below 0 is blur, above is noise."""
    low, high = (share * float(frequencies[-1]) for share in BANDS[band])
    inside = (frequencies >= low) & (frequencies <= high)
    off = mean_db(fake, frequencies) - mean_db(real, frequencies)
    return float(off[inside].mean()) if inside.any() else float("nan")
