"""Where to look closely: the evenest place of soft tissue in some slices, in which noise is all there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

REGION_MM = 20.0
"""Side of the region that is measured: fits into the aorta, the heart and the liver."""

SHOWN_MM = 90.0
"""Side of what is shown around it."""

TISSUE_HU = (0.0, 150.0)
"""Mean of a region that counts: muscle, liver, blood with and without contrast."""

MOST_SPREAD_HU = 150.0
"""A region that spreads more is an edge whose mean happens to be that of tissue."""


@dataclass(frozen=True)
class Zoom:
    """A region in a slice.

    Attributes:
        number: of the slice.
        region: rows and columns that are measured.
        shown: rows and columns around them.
    """

    number: int
    region: tuple[slice, slice]
    shown: tuple[slice, slice]

    @property
    def frame(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the region, as shares of what is shown."""
        (top, bottom), (left, right) = (
            ((part.start - around.start) / size, (part.stop - around.start) / size)
            for part, around in zip(self.region, self.shown, strict=True)
            for size in (around.stop - around.start,)
        )
        return left, top, right, bottom


def even_place(hu: np.ndarray, slices: Sequence[int], spacing_mm: tuple[float, float]) -> Zoom | None:
    """Find the region of soft tissue with the least spread.

    Args:
        hu: axial slices (z, y, x), best without noise: what spreads then is anatomy.
        slices: numbers of those to look in.
        spacing_mm: of the pixels (y, x).

    Returns:
        The place; None where no slice has soft tissue enough.
    """
    from scipy.ndimage import uniform_filter

    shape = hu.shape[1:]
    sides = [min(max(3, round(REGION_MM / mm)), n) for mm, n in zip(spacing_mm, shape, strict=True)]
    best: tuple[float, int, int, int] | None = None
    for z in slices:
        plane = hu[z].astype(np.float64)
        mean = uniform_filter(plane, sides)
        spread = uniform_filter(np.square(plane), sides) - np.square(mean)
        inner = np.zeros(shape, bool)
        inner[tuple(slice(side // 2, n - side + side // 2 + 1) for side, n in zip(sides, shape, strict=True))] = True
        tissue = inner & (mean > TISSUE_HU[0]) & (mean < TISSUE_HU[1]) & (spread < MOST_SPREAD_HU**2)
        spread = np.where(tissue, spread, np.inf)
        y, x = (int(at) for at in np.unravel_index(int(spread.argmin()), shape))
        if np.isfinite(spread[y, x]) and (best is None or spread[y, x] < best[0]):
            best = float(spread[y, x]), int(z), y, x
    if best is None:
        return None
    _, z, y, x = best
    region, shown = (
        tuple(_around(at, side, n) for at, side, n in zip((y, x), lengths, shape, strict=True))
        for lengths in (sides, [max(side, round(SHOWN_MM / mm)) for side, mm in zip(sides, spacing_mm, strict=True)])
    )
    return Zoom(z, (region[0], region[1]), (shown[0], shown[1]))


def _around(centre: int, length: int, count: int) -> slice:
    """Return ``length`` of ``count`` indices about a centre, moved inside where they would reach out."""
    length = min(length, count)
    start = min(max(0, centre - length // 2), count - length)
    return slice(start, start + length)
