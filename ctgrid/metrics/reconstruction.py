"""How close an image is to its reference, with the data range always stated."""

from __future__ import annotations

from numbers import Real
from typing import Any, Literal, get_args

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.metrics.numbers import as_float64

SsimWindow = Literal["uniform", "gaussian"]

MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales of MS-SSIM (Wang et al. 2003), from fine to coarse."""

MS_SIGMA, MS_REACH = 1.5, 5
MS_LEAST_SIDE = (2 * MS_REACH + 1) * 2 ** (len(MS_WEIGHTS) - 1)
"""The window must fit into the coarsest scale: 176 pixels."""


def psnr(a: np.ndarray, b: np.ndarray, data_range: float) -> float:
    """Return the peak signal-to-noise ratio in dB, 10 log10(data_range² / mean squared difference).

    Args:
        a: an image or volume of any shape.
        b: the reference, of the same shape.
        data_range: width of the window that both were clipped to, 2000 for [-1000, 1000] HU.

    Returns:
        The ratio; infinite for equal images.

    Raises:
        CtgridError: where the shapes differ, an image is empty or not finite, or the range is not positive.
    """
    a, b = checked(a, b, data_range)
    error = float(np.mean((a - b) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(data_range**2 / error))


def ssim(a: np.ndarray, b: np.ndarray, data_range: float, window: SsimWindow = "uniform") -> float:
    """Return the structural similarity (Wang et al. 2004), slices averaged.

    Black must be 0 for the comparison of means to be what its authors meant: give HU plus 1000 for a window that
    begins at -1000.

    Args:
        a: a slice (y, x), or slices (n, y, x) that are compared one by one.
        b: the reference, of the same shape.
        data_range: as in :func:`psnr`.
        window: "uniform" is scikit-image's default, 7 x 7 pixels; "gaussian" that of the paper, of 1.5 pixels.

    Raises:
        CtgridError: where the shapes differ, a slice is smaller than the window, or the range is not positive.
    """
    from skimage.metrics import structural_similarity

    a, b = checked(a, b, data_range)
    if window not in get_args(SsimWindow):
        raise CtgridError(f"window must be one of {', '.join(get_args(SsimWindow))}, got {window!r}")
    gaussian = {"gaussian_weights": True, "sigma": MS_SIGMA, "use_sample_covariance": False}
    settings = gaussian if window == "gaussian" else {}
    side = 2 * MS_REACH + 1 if window == "gaussian" else 7
    if a.ndim not in (2, 3) or min(a.shape[-2:]) < side:
        raise CtgridError(f"SSIM needs slices of {side} pixels a side or more, (y, x) or (n, y, x); got {a.shape}")
    pairs = zip(a, b, strict=True) if a.ndim == 3 else [(a, b)]
    return float(np.mean([structural_similarity(y, x, data_range=data_range, **settings) for x, y in pairs]))


def ms_ssim(a: np.ndarray, b: np.ndarray, data_range: float) -> float:
    """Return the multi-scale structural similarity (Wang et al. 2003), slices averaged.

    Contrast and structure of five scales, each the mean of 2 x 2 pixels of the one before, and the luminance of
    the coarsest, to the powers :data:`MS_WEIGHTS`; Gaussian window of 11 x 11 pixels, only where it fits.

    Args:
        a: a slice (y, x), or slices (n, y, x) that are compared one by one.
        b: the reference, of the same shape.
        data_range: as in :func:`psnr`; black must be 0, as in :func:`ssim`.

    Raises:
        CtgridError: where the shapes differ, a side is below 176 pixels, or the range is not positive.
    """
    a, b = checked(a, b, data_range)
    if a.ndim not in (2, 3) or min(a.shape[-2:]) < MS_LEAST_SIDE:
        raise CtgridError(f"MS-SSIM needs slices of {MS_LEAST_SIDE} pixels a side or more; got {a.shape}")
    pairs = zip(a, b, strict=True) if a.ndim == 3 else [(a, b)]
    return float(np.mean([_ms_ssim_of_slice(x, y, data_range) for x, y in pairs]))


def _ms_ssim_of_slice(a: np.ndarray, b: np.ndarray, data_range: float) -> float:
    from einops import reduce

    value = 1.0
    for scale, weight in enumerate(MS_WEIGHTS):
        luminance, structure = _ssim_parts(a, b, data_range)
        last = scale == len(MS_WEIGHTS) - 1
        value *= max(float((luminance * structure if last else structure).mean()), 0.0) ** weight
        if not last:
            even = tuple(slice(n - n % 2) for n in a.shape)
            a, b = (reduce(image[even], "(y 2) (x 2) -> y x", "mean") for image in (a, b))
    return value


def _ssim_parts(a: np.ndarray, b: np.ndarray, data_range: float) -> tuple[np.ndarray, np.ndarray]:
    """Return luminance, and contrast times structure, where the window fits."""
    from scipy.ndimage import gaussian_filter

    def local(image: np.ndarray) -> np.ndarray:
        mean = gaussian_filter(image, MS_SIGMA, truncate=MS_REACH / MS_SIGMA)
        return np.asarray(mean[MS_REACH:-MS_REACH, MS_REACH:-MS_REACH])

    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_a, mean_b = local(a), local(b)
    spread = local(a * a) + local(b * b) - mean_a**2 - mean_b**2
    shared = local(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance, (2 * shared + c2) / (spread + c2)


def checked(a: Any, b: Any, data_range: float) -> tuple[np.ndarray, np.ndarray]:
    """Return both images as float64, with a positive and finite range.

    Raises:
        CtgridError: where they cannot be compared; see :func:`psnr`.
    """
    try:
        a, b = as_float64(a), as_float64(b)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CtgridError(f"images to compare must hold real numbers: {error}") from error
    if a.shape != b.shape:
        raise CtgridError(f"images to compare must have one shape, got {a.shape} and {b.shape}")
    if not a.size:
        raise CtgridError(f"images to compare must not be empty, got {a.shape}")
    for name, image in (("a", a), ("b", b)):
        if not np.isfinite(image).all():
            raise CtgridError(f"image {name} holds NaN or infinite values; fill them, or leave those slices out")
    if not isinstance(data_range, Real) or not 0 < data_range < np.inf:
        raise CtgridError(f"data_range must be positive, a finite number, got {data_range!r}")
    return a, b
