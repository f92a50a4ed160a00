"""Give back what a network took from the means of whole regions.

The best guess of a voxel under much noise leans towards what is usual around it: fat comes out some HU too bright, lung
too dark. But over a centimetre noise nearly averages out, above all that of CT, which has little of such low
frequencies; there the scan itself knows better. So the local mean of what was removed is given back, as far as it is
more than the noise would have it (Wiener's factor).
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, interpolate

REACH_MM = 10.0
"""Standard deviation of the Gaussian that makes means."""

CELL_MM = 2.5
"""Side of the cells that are averaged first, for speed."""

LEAST_HU = -950.0
"""Below lies air, which is often cut off at the lowest value: its mean is no mean."""

CLEAR_SIGMAS = 2.5
"""What lies closer than so many standard deviations of the noise above the lowest value may be cut off too."""


def mean_removed(
    removed_hu: np.ndarray,
    clean_hu: np.ndarray,
    noise_hu: np.ndarray | float,
    spacing_mm: tuple[float, float],
    floor_hu: float | None = None,
) -> np.ndarray:
    """Return the local mean of what was removed from a slice, to be given back.

    White noise, whose half reach leaves four times the power of the whole, gives 0: then the mean is noise.

    Args:
        removed_hu: (y, x).
        clean_hu: what is left, (y, x).
        noise_hu: standard deviation of the noise: one, or a map over the slice with any number of cells.
        spacing_mm: of the pixels (y, x).
        floor_hu: what the scan's values are cut off at; None where they are not.

    Returns:
        (y, x) float32 in HU; 0 in air and padding.
    """
    from scipy.ndimage import gaussian_filter

    cells = [max(1, round(CELL_MM / mm)) for mm in spacing_mm]
    sigma = [REACH_MM / (mm * n) for mm, n in zip(spacing_mm, cells, strict=True)]
    removed, clean = (_in_cells(part, cells) for part in (removed_hu, clean_hu))
    least = np.full(clean.shape, LEAST_HU)
    if floor_hu is not None:
        least = np.maximum(least, floor_hu + CLEAR_SIGMAS * _resized(np.atleast_2d(noise_hu), clean.shape))
    weight = (clean > least).astype(np.float32)
    if not weight.any():
        return np.zeros(removed_hu.shape, np.float32)

    def mean(reach: float) -> np.ndarray:
        parts = (gaussian_filter(part, [reach * s for s in sigma]) for part in (removed * weight, weight))
        above, below = parts
        return np.asarray(above / (below + 0.05) * weight)

    whole, half = mean(1.0), mean(0.5)
    power = float(np.square(whole).sum())
    share = max(0.0, 1 - float(np.square(half - whole).sum()) / power) if power > 0 else 0.0
    return _enlarged(np.float32(share) * whole, cells, removed_hu.shape)


def _in_cells(image: np.ndarray, cells: list[int]) -> np.ndarray:
    """Return the means of cells of so many pixels (y, x), the last of them smaller; float32."""
    pixels = torch.from_numpy(np.asarray(image, np.float32))[None, None]
    return np.asarray(avg_pool2d(pixels, cells, ceil_mode=True, count_include_pad=False)[0, 0].numpy())


def _enlarged(means: np.ndarray, cells: list[int], shape: tuple[int, ...]) -> np.ndarray:
    """Return means of cells over the pixels of a slice of that shape, bilinear between."""
    size = tuple(n * cell for n, cell in zip(means.shape, cells, strict=True))
    return _resized(means, size)[: shape[0], : shape[1]]


def _resized(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Return a map in another number of cells, bilinear between."""
    given = torch.from_numpy(np.array(image, np.float32))[None, None]
    return np.asarray(interpolate(given, size=size, mode="bilinear")[0, 0].numpy())
