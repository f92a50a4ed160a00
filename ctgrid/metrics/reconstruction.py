"""How close an image is to its reference, with the data range always stated."""

from __future__ import annotations

import numpy as np

from ctgrid.errors import CtgridError


def psnr(a: np.ndarray, b: np.ndarray, data_range: float) -> float:
    """Return the peak signal-to-noise ratio in dB, 10 log10(data_range² / mean squared difference).

    Args:
        a: an image or volume of any shape.
        b: the reference, of the same shape.
        data_range: width of the window that both were clipped to, 2000 for [-1000, 1000] HU.

    Raises:
        CtgridError: where the shapes differ or the range is not positive.
    """
    from skimage.metrics import peak_signal_noise_ratio

    _check(a, b, data_range)
    return float(peak_signal_noise_ratio(np.asarray(b, float), np.asarray(a, float), data_range=data_range))


def ssim(a: np.ndarray, b: np.ndarray, data_range: float) -> float:
    """Return the structural similarity (Wang 2004): Gaussian window of 1.5 pixels, slices averaged.

    Args:
        a: a slice (y, x), or slices (n, y, x) that are compared one by one.
        b: the reference, of the same shape.
        data_range: as in :func:`psnr`.

    Raises:
        CtgridError: where the shapes differ or the range is not positive.
    """
    from skimage.metrics import structural_similarity

    _check(a, b, data_range)
    pairs = zip(np.asarray(a, float), np.asarray(b, float), strict=True) if a.ndim == 3 else [(a, b)]
    values = [
        structural_similarity(
            y, x, data_range=data_range, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        for x, y in pairs
    ]
    return float(np.mean(values))


def _check(a: np.ndarray, b: np.ndarray, data_range: float) -> None:
    if a.shape != b.shape:
        raise CtgridError(f"images to compare must have one shape, got {a.shape} and {b.shape}")
    if not data_range > 0:
        raise CtgridError(f"data_range must be positive, got {data_range}")
