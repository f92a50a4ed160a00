"""Give back what a network took from the means of tissues.

The best guess of a voxel under much noise leans towards what is usual around it: fat comes out some HU too bright, lung
too dark. But over centimetres noise nearly averages out, above all that of CT, which has little of such low
frequencies; there the scan itself knows better. So the local mean of what was removed is given back, tissue by tissue
(what fat gains, the muscle beside it loses), as far as it is more than the noise would have it (Wiener's factor).
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, interpolate

TISSUES_HU = (-850.0, -100.0, 50.0, 300.0)
"""Lung, fat, soft tissue, bone; a value between two is part of both."""

TOLD_MM = 0.7
"""Standard deviation of the Gaussian through which a cell's tissue is told: by a voxel's own value, the noise left in
it would choose its tissue, and the mean of what was removed there would be that of one side of the noise."""

REACH_MM = 20.0
"""Standard deviation of the Gaussian that makes means. A tissue of less than a square of twice that goes by the mean of
all: noise does not average out in it, and at the rim of another tissue cells that are half air look like one."""

CELL_MM = 2.0
"""Side of the cells that are averaged first, for speed."""

BLOCKS = 4
"""Blocks of those cells along that Gaussian's standard deviation, likewise."""

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
    """Return the local mean of what was removed from each tissue of a slice, to be given back.

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
    cell_mm = [mm * n for mm, n in zip(spacing_mm, cells, strict=True)]
    removed, clean = (_in_cells(image, cells) for image in (removed_hu, clean_hu))
    least = np.full(clean.shape, LEAST_HU)
    if floor_hu is not None:
        least = np.maximum(least, floor_hu + CLEAR_SIGMAS * _resized(np.atleast_2d(noise_hu), clean.shape))
    shown = (clean > least).astype(np.float32)
    above, below = (gaussian_filter(image, [TOLD_MM / mm for mm in cell_mm]) for image in (clean * shown, shown))
    place = np.interp(above / below.clip(1e-6), TISSUES_HU, range(len(TISSUES_HU))).astype(np.float32)
    back = np.zeros_like(removed)
    together = _means(removed, shown, cell_mm)
    if together is None:
        return np.zeros(removed_hu.shape, np.float32)
    for number in range(len(TISSUES_HU)):
        share = shown * (1 - np.abs(place - number)).clip(0)
        own = _means(removed, share, cell_mm)
        back += share * (together if own is None else own)
    return _enlarged(back, cells, removed_hu.shape)


def _means(removed: np.ndarray, share: np.ndarray, cell_mm: list[float]) -> np.ndarray | None:
    """Return the local means of what was removed from one tissue, times Wiener's factor, (y, x) in cells.

    None where there is too little of it.

    Args:
        removed: (y, x) in cells.
        share: how much of each cell is of that tissue, from 0 to 1.
        cell_mm: sides of the cells (y, x).
    """
    from scipy.ndimage import gaussian_filter

    if share.sum() * np.prod(cell_mm) < (2 * REACH_MM) ** 2:
        return None
    blocks = [max(1, round(REACH_MM / BLOCKS / mm)) for mm in cell_mm]
    reach = [REACH_MM / (mm * n) for mm, n in zip(cell_mm, blocks, strict=True)]
    above, below = _in_cells(removed * share, blocks), _in_cells(share, blocks)

    def mean(times: float) -> np.ndarray:
        parts = (gaussian_filter(part, [times * block for block in reach]) for part in (above, below))
        return np.asarray(next(parts) / (next(parts) + 0.05))

    whole, half = mean(1.0), mean(0.5)
    power, noise = (float((np.square(part) * below).sum()) for part in (whole, half - whole))
    factor = max(0.0, 1 - noise / power) if power > 0 else 0.0
    return _enlarged(np.float32(factor) * whole, blocks, removed.shape)


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
