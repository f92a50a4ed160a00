"""Visual information fidelity: how much of what a reference tells is still told by an image."""

from __future__ import annotations

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.metrics.reconstruction import checked

SCALES = 4
LEVELS = 255.0
"""The range of values that the noise of vision is stated for."""

VISION = 2.0
"""Variance of the noise of vision, in squared levels."""

LEAST_SIDE = 41
"""The windows of all four scales fit into no less."""

LEAST = 1e-10
"""What a variance is no less than to count as one."""


def vif(a: np.ndarray, b: np.ndarray, data_range: float) -> float:
    """Return the visual information fidelity in the pixel domain, slices averaged.

    VIFp of Sheikh & Bovik 2006, IEEE Trans Image Process 15:430, with the four scales of its authors' release: windows
    of 17, 9, 5 and 3 pixels, Gaussian with a fifth of that as standard deviation, each scale but the first smoothed and
    thinned by two. Of an image it is taken that a = g b + noise in every window; the measure is the information that
    a has of b over what b has of itself, both seen through the noise of vision:
    sum log2(1 + g^2 var(b) / (var(noise) + 2)) / sum log2(1 + var(b) / 2).

    Args:
        a: a slice (y, x), or slices (n, y, x) that are compared one by one.
        b: the reference, of the same shape.
        data_range: width of the window that both were clipped to; it is 255 levels.

    Returns:
        1 for equal images, less for noise or blur, more where contrast is enhanced; NaN where the reference is even
        throughout.

    Raises:
        CtgridError: where the shapes differ, a side is below 41 pixels, or the range is not positive.
    """
    a, b = checked(a, b, data_range)
    if a.ndim not in (2, 3) or min(a.shape[-2:]) < LEAST_SIDE:
        raise CtgridError(f"VIF needs slices of {LEAST_SIDE} pixels a side or more, (y, x) or (n, y, x); got {a.shape}")
    pairs = zip(a, b, strict=True) if a.ndim == 3 else [(a, b)]
    return float(np.mean([_of_slice(*(image * (LEVELS / data_range) for image in pair)) for pair in pairs]))


def _of_slice(a: np.ndarray, b: np.ndarray) -> float:
    told = whole = 0.0
    for scale in range(SCALES):
        side = 2 ** (SCALES - scale) + 1
        if scale:
            a, b = (_local(image, side)[::2, ::2] for image in (a, b))
        mean_a, mean_b = _local(a, side), _local(b, side)
        var_a, var_b = (np.maximum(_local(x * x, side) - m * m, 0) for x, m in ((a, mean_a), (b, mean_b)))
        shared = _local(a * b, side) - mean_a * mean_b
        known = (var_b >= LEAST) & (var_a >= LEAST)
        gain = np.where(known, shared / (var_b + LEAST), 0.0)
        rest = np.where(var_b < LEAST, var_a, var_a - gain * shared)
        rest = np.where(known, rest, np.where(var_a < LEAST, 0.0, rest))
        rest = np.maximum(np.where(gain < 0, var_a, rest), LEAST)
        gain = np.maximum(gain, 0)
        told += float(np.log2(1 + gain**2 * var_b / (rest + VISION)).sum())
        whole += float(np.log2(1 + np.where(var_b < LEAST, 0.0, var_b) / VISION).sum())
    return told / whole if whole else float("nan")


def _local(image: np.ndarray, side: int) -> np.ndarray:
    """Return weighted means over windows of ``side`` pixels, where they fit."""
    from scipy.ndimage import correlate1d

    reach = side // 2
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) * 5 / side) ** 2)
    weights /= weights.sum()
    smooth = correlate1d(correlate1d(image, weights, 0), weights, 1)
    return np.asarray(smooth[reach:-reach, reach:-reach])
