"""Slices to grid images and back.

A grid image holds k x k consecutive slices, row-major: the first row is the first k slices.
Dimension names: n batch, c channels, r row of the grid, q place in the row, h and w of one cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from einops import rearrange, repeat

from ctgrid.base.errors import CtgridError

if TYPE_CHECKING:
    import numpy as np
    import torch

    Array = TypeVar("Array", torch.Tensor, np.ndarray)


class Tiled:
    """Sizes that follow from ``size`` (S, pixels of a slice's side), ``k`` (K) and ``scale`` (None is K).

    A cell is a slice shrunk ``factor`` times, so that a grid image has K · S / factor pixels a side: S as usual, and
    twice as much where the paper tiles frames of 256 pixels into grids of 4 x 4 cells of 128.
    """

    if TYPE_CHECKING:
        size: int
        k: int
        scale: int | None

    @property
    def factor(self) -> int:
        """How many times a slice is shrunk to a cell, and stage 2 enlarges it."""
        return self.k if self.scale is None else self.scale

    @property
    def cell_size(self) -> int:
        """Pixels of a cell's side."""
        return self.size // self.factor

    @property
    def grid_size(self) -> int:
        """Pixels of a grid image's side."""
        return self.k * self.cell_size


def to_grid(slices: Array, k: int = 4) -> Array:
    """Tile every k * k consecutive slices into one grid image.

    Args:
        slices: (n * k * k, c, h, w), tensor or array.
        k: Cells per side.

    Returns:
        (n, c, k * h, k * w): slice ``r * k + q`` fills row r, place q.

    Raises:
        CtgridError: Not four dimensions, or the number of slices is no multiple of k * k.
    """
    _check(slices, k)
    if slices.shape[0] % (k * k):
        raise CtgridError(f"{slices.shape[0]} slices do not fill grids of {k}x{k}; give a multiple of {k * k}")
    return rearrange(slices, "(n r q) c h w -> n c (r h) (q w)", r=k, q=k)


def from_grid(grids: Array, k: int = 4) -> Array:
    """Cut grid images into slices: the exact inverse of :func:`to_grid`.

    Args:
        grids: (n, c, k * h, k * w), tensor or array.
        k: Cells per side.

    Returns:
        (n * k * k, c, h, w).

    Raises:
        CtgridError: Not four dimensions, or a side is no multiple of k.
    """
    _check(grids, k)
    height, width = grids.shape[2:]
    if height % k or width % k:
        raise CtgridError(f"a grid image of {height}x{width} does not divide into {k}x{k} cells")
    return rearrange(grids, "n c (r h) (q w) -> (n r q) c h w", r=k, q=k)


def downsample(slices: torch.Tensor, k: int = 4) -> torch.Tensor:
    """Shrink slices to the size of a cell by antialiased bicubic interpolation.

    Args:
        slices: (n, c, h, w), floating.
        k: Factor; h and w are multiples of it.

    Returns:
        (n, c, h / k, w / k). Values may overshoot the input's range a little at edges.

    Raises:
        CtgridError: Not four dimensions, or a side is no multiple of k.
    """
    from torch.nn.functional import interpolate

    _check(slices, k)
    height, width = slices.shape[2:]
    if height % k or width % k:
        raise CtgridError(f"slices of {height}x{width} do not shrink by {k} to whole pixels")
    if k == 1:
        return slices
    return interpolate(slices, size=(height // k, width // k), mode="bicubic", antialias=True, align_corners=False)


def gray_to_rgb(images: Array) -> Array:
    """Repeat the one channel of gray images three times.

    Args:
        images: (n, 1, h, w).

    Returns:
        (n, 3, h, w).

    Raises:
        CtgridError: There is another number of channels than one.
    """
    _check(images, 1)
    if images.shape[1] != 1:
        raise CtgridError(f"gray images have one channel, got {images.shape[1]} (shape {tuple(images.shape)})")
    return repeat(images, "n 1 h w -> n c h w", c=3)


def _check(images: Array, k: int) -> None:
    if k < 1:
        raise CtgridError(f"k, the cells per side, must be at least 1, got {k}")
    if images.ndim != 4:
        raise CtgridError(f"images are (n, c, h, w), got {images.ndim} dimensions: {tuple(images.shape)}")
