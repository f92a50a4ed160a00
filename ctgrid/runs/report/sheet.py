"""Where the tiles of a contact sheet lie: axial slices, a coronal and a sagittal view, all in true proportions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

MONTAGE = 4  # axial slices per side
MONTAGE_PX = 832
VIEWS_PX = 560  # width of the column with the coronal and the sagittal view
GAP_PX = 6
LABEL_PX = 40  # height that a view's labels need
USUAL = 0.75  # share of the sheet that tiles cover, above which the views stand beside the slices

Box = tuple[int, int, int, int]
"""Left, top, width and height."""


@dataclass(frozen=True)
class Sheet:
    """Boxes of tiles, and how many pixels a mm has in them.

    Attributes:
        width: of the sheet.
        height: of the sheet.
        slices: boxes of the axial slices.
        slice_scale: pixels per mm in them.
        views: boxes of the coronal and the sagittal view.
        view_scale: pixels per mm in both.
    """

    width: int
    height: int
    slices: list[Box]
    slice_scale: float
    views: tuple[Box, Box]
    view_scale: float

    def covered(self, x_mm: float, y_mm: float, z_mm: float) -> float:
        """Return the share of the sheet that a volume of these sides covers."""
        axial = len(self.slices) * x_mm * y_mm * self.slice_scale**2
        return (axial + (x_mm + y_mm) * z_mm * self.view_scale**2) / (self.width * self.height)


def lay_out(shown: int, x_mm: float, y_mm: float, z_mm: float) -> Sheet:
    """Return the sheet for a volume: views beside the slices, or below them where a thin one leaves most of it black.

    Args:
        shown: axial slices.
        x_mm: side of the volume, from right to left.
        y_mm: from front to back.
        z_mm: from feet to head.
    """
    usual = _beside(shown, x_mm, y_mm, z_mm)
    if usual.covered(x_mm, y_mm, z_mm) >= USUAL:
        return usual
    return max((usual, _below(shown, x_mm, y_mm, z_mm)), key=lambda sheet: sheet.covered(x_mm, y_mm, z_mm))


def _beside(shown: int, x_mm: float, y_mm: float, z_mm: float) -> Sheet:
    """Slices in a square, the views in a column at its right."""
    side = math.ceil(math.sqrt(shown))
    cell = (MONTAGE_PX - (side - 1) * GAP_PX) // side
    slices = list(_grid(shown, side, cell, cell))
    half, left = (MONTAGE_PX - GAP_PX) // 2, MONTAGE_PX + GAP_PX
    views = ((left, 0, VIEWS_PX, half), (left, half + GAP_PX, VIEWS_PX, half))
    width = max(x_mm, y_mm)
    return Sheet(left + VIEWS_PX, MONTAGE_PX, slices, cell / width, views, min(VIEWS_PX / width, half / z_mm))


def _below(shown: int, x_mm: float, y_mm: float, z_mm: float) -> Sheet:
    """Slices in rows as high as they are, the views in strips below them."""
    columns = min(range(math.ceil(math.sqrt(shown)), MONTAGE + 1), key=lambda n: (-shown % n, n))
    cell = (MONTAGE_PX - (columns - 1) * GAP_PX) // columns
    scale = min(cell / x_mm, 2 * cell / y_mm)
    high = max(1, round(y_mm * scale))
    slices = list(_grid(shown, columns, cell, high))
    below = slices[-1][1] + high + GAP_PX
    view_scale = min(MONTAGE_PX / max(x_mm, y_mm), MONTAGE_PX / 2 / z_mm)
    strip = max(LABEL_PX, round(z_mm * view_scale))
    views = ((0, below, MONTAGE_PX, strip), (0, below + strip + GAP_PX, MONTAGE_PX, strip))
    return Sheet(MONTAGE_PX, below + 2 * strip + GAP_PX, slices, scale, views, view_scale)


def _grid(count: int, columns: int, width: int, height: int) -> Iterator[Box]:
    """Yield boxes row by row."""
    for i in range(count):
        yield (i % columns * (width + GAP_PX), i // columns * (height + GAP_PX), width, height)
