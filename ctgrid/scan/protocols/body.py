"""Where the patient is: the largest body-bright component, without table, clothes and wires."""

from __future__ import annotations

import numpy as np

from ctgrid.metrics.regions import BODY_HU

_CELL_MM = 4.0
_THIN_MM = 14.0
"""What is thinner than this is table or cloth."""


def body_mask(hu: np.ndarray, spacing_mm: tuple[float, float, float]) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Find the body on a coarse grid, lungs and other cavities included.

    Args:
        hu: (z, y, x), axial slices.
        spacing_mm: (z, y, x).

    Returns:
        (z', y', x') bool, and the number of voxels (z, y, x) that one of its cells is wide; cells begin at
        voxel 0 and what is left over at the end belongs to none. All false where nothing is bright.
    """
    from einops import reduce
    from scipy import ndimage

    step = [max(1, min(round(_CELL_MM / s), n)) for s, n in zip(spacing_mm, hu.shape, strict=True)]
    a, b, c = step
    _, height, width = (n // s * s for n, s in zip(hu.shape, step, strict=True))
    cells = np.stack(
        [reduce(p[:height, :width], "(h b) (w c) -> h w", _mean, b=b, c=c) for p in hu[a // 2 :: a][: hu.shape[0] // a]]
    )
    bright = cells > BODY_HU
    cell_mm = [s * n for s, n in zip(spacing_mm[1:], step[1:], strict=True)]
    reach = [max(1, round(_THIN_MM / 2 / mm)) for mm in cell_mm]
    disc = np.hypot(*np.meshgrid(*(np.arange(-r, r + 1) / (r + 0.5) for r in reach), indexing="ij")) <= 1.0
    solid = np.stack([ndimage.binary_opening(ndimage.binary_fill_holes(plane), disc) for plane in bright])
    labels, count = ndimage.label(solid)
    if not count:
        return bright, (a, b, c)
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    return labels == largest, (a, b, c)


def body_centre(hu: np.ndarray, spacing_mm: tuple[float, float, float]) -> tuple[float, float]:
    """Return the (row, column) of the middle of the body's bounding box, in pixels.

    The middle of the image where there is no body.

    Args:
        hu: (z, y, x), axial slices.
        spacing_mm: (z, y, x).
    """
    mask, step = body_mask(hu, spacing_mm)
    centre = []
    for axis in (1, 2):
        present = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        middle = (present[0] + present[-1] + 1) / 2 * step[axis] if len(present) else hu.shape[axis] / 2
        centre.append(float(middle) - 0.5)
    return centre[0], centre[1]


def _mean(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return values.mean(axis=axes, dtype=np.float32)
