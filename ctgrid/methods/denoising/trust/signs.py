"""What a slice and its answer show of how far the answer may be off, voxel by voxel; the same for every method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctgrid.methods.denoising.detail import PADDING_HU
from ctgrid.scan.noise_patches import second_difference
from ctgrid.scan.windows import AIR_HU

NEAR_MM, FAR_MM = 6.0, 10.0
"""Half sides of the squares in which noise is measured: for the error, and for what is usual of a change."""

LEAST_HU = 0.5
"""Whole HU have some 0.3 of rounding; less removed is nothing."""

SIGNS = ("noise", "grain", "edge", "texture", "unevenness", "change", "burst")
"""Of :attr:`Signs.values`, in this order; each a logarithm.

``noise``: root mean square of what was removed nearby, in HU. ``grain``: how much of that is left in means over some
3 x 3 pixels, 1 for the coarsest. ``edge``: gradient of the answer, in HU per pixel. ``texture``: root mean square of
the answer's second difference around the voxel. ``unevenness``: that of means over 3 x 3 pixels less those over 9 x 9,
in HU, where coarse noise is left. ``change``: square of what was removed from the voxel's surroundings,
over what is usual nearby. ``burst``: what was removed around the voxel over what was removed nearby.
"""

CLIPPED = 2.5
"""Changes beyond so many times the usual count as that many when the usual is measured again: they are structure."""


@dataclass(frozen=True)
class Signs:
    """Of one slice.

    Attributes:
        hu: the answer, smoothed over 3 x 3 pixels, padding as air, (y, x).
        values: (len(SIGNS), y, x) float32.
        change_hu: what was removed, smoothed over some 3 x 3 pixels, (y, x).
        usual_hu: the standard deviation that it has nearby, structure left out, (y, x).
    """

    hu: np.ndarray
    values: np.ndarray
    change_hu: np.ndarray
    usual_hu: np.ndarray


def signs_of(scan_hu: np.ndarray, answer_hu: np.ndarray, spacing_mm: tuple[float, float]) -> Signs:
    """Return the signs of a slice.

    Args:
        scan_hu: (y, x) before.
        answer_hu: (y, x) after.
        spacing_mm: of the pixels, (y, x).
    """
    answer = answer_hu.astype(np.float32)
    removed = scan_hu.astype(np.float32) - answer
    near, far = (_side(mm, spacing_mm) for mm in (NEAR_MM, FAR_MM))
    noise = _rms(removed, near, LEAST_HU)
    change = _mean(_mean(removed, 3), 3)
    nearby = _rms(change, near, LEAST_HU / 5)
    smooth = _mean(answer, 3)
    gradient = np.hypot(*np.gradient(smooth)) if min(smooth.shape) > 1 else np.zeros_like(smooth)
    values = (
        np.log(noise),
        np.log(nearby / noise),
        np.log1p(gradient),
        np.log1p(_rms(second_difference(answer), 5)),
        np.log1p(_rms(smooth - _mean(smooth, 9), 9)),
        np.log1p(np.square(change / nearby)),
        np.log(_rms(removed, 5, LEAST_HU) / noise),
    )
    padded = answer < PADDING_HU
    hu = _mean(np.where(padded, np.float32(AIR_HU), answer), 3) if padded.any() else smooth
    return Signs(hu, np.stack(values), change, _usual(change, far))


def _usual(change: np.ndarray, side: int) -> np.ndarray:
    """Return the standard deviation of changes nearby, by their mean size, the largest clipped."""
    size = np.abs(change)
    usual = _mean(size, side) * np.sqrt(np.pi / 2)
    return np.maximum(_mean(np.minimum(size, CLIPPED * usual), side) * np.sqrt(np.pi / 2), LEAST_HU)


def _side(half_mm: float, spacing_mm: tuple[float, float]) -> int:
    """Return the odd number of pixels across a square."""
    return 2 * max(1, round(half_mm / float(np.sqrt(spacing_mm[0] * spacing_mm[1])))) + 1


def _rms(values: np.ndarray, side: int, least: float = 0.0) -> np.ndarray:
    """Return the root mean square over squares, with a floor added in squares."""
    return np.sqrt(np.maximum(_mean(np.square(values), side), 0) + np.float32(least**2))


def _mean(values: np.ndarray, side: int) -> np.ndarray:
    """Return the mean over squares of so many pixels, edges continued."""
    from scipy.ndimage import uniform_filter

    return np.asarray(uniform_filter(values, side, mode="nearest"))
