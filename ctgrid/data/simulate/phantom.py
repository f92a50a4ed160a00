"""Procedural chest phantoms: anatomy drawn from a seed, painted on any grid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from ctgrid.base.draws import generator_for, normal
from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.base.usual import MOST_NOISE_HU
from ctgrid.data.simulate.anatomy import MIDDLE_MM, Anatomy, draw_anatomy
from ctgrid.data.simulate.paint import Painter
from ctgrid.data.simulate.trunk import axis_y
from ctgrid.data.simulate.view import Canvas, Label
from ctgrid.scan.volume import Volume

FIELD_MM, HEIGHT_MM = 400.0, 301.5
"""What a phantom covers unless a spacing is given: 512 pixels of 0.78 mm, 201 slices of 1.5 mm."""

MOST_VOXELS = 2**31
_NOISE = 0x401  # the stream of a phantom's noise


def phantom(
    seed: int,
    shape: tuple[int, int, int] = (201, 512, 512),
    spacing_mm: tuple[float, float, float] | None = None,
    noise_hu: float = 0.0,
    *,
    progress: Progress = silent,
) -> Volume:
    """Return a procedural chest CT.

    Args:
        seed: draws anatomy, pose and tissues; the same one on another grid is the same person.
        shape: voxels (z, y, x).
        spacing_mm: voxel size (z, y, x); None spreads 301.5 x 400 x 400 mm over the shape.
        noise_hu: standard deviation of white noise to add; :func:`ctgrid.data.simulate.low_dose` makes that of CT.
        progress: called after every slice.

    Returns:
        int16 HU in LPS.

    Raises:
        CtgridError: shape, spacing, noise or seed are out of range.
    """
    return labelled_phantom(seed, shape, spacing_mm, noise_hu, progress=progress)[0]


def labelled_phantom(
    seed: int,
    shape: tuple[int, int, int] = (201, 512, 512),
    spacing_mm: tuple[float, float, float] | None = None,
    noise_hu: float = 0.0,
    *,
    progress: Progress = silent,
) -> tuple[Volume, Volume]:
    """Return a phantom and what its voxels are (:class:`Label`), both int16; arguments as for :func:`phantom`."""
    size = check_grid(seed, shape, spacing_mm, noise_hu)
    hu, labels = np.empty(shape, np.int16), np.empty(shape, np.int16)
    for z, canvas in enumerate(paint_slices(draw_anatomy(seed), shape, size)):
        progress("painting slices", z, shape[0])
        labels[z] = canvas.labels
        hu[z] = finished(canvas, noise_hu, seed, z)
    progress("painting slices", shape[0], shape[0])
    affine = grid_affine(shape, size)
    record = {
        "source": f"phantom {seed}",
        "synthetic": True,
        "hu": {"source": "stored", "slope": 1.0, "intercept": 0.0, "mode": "made"},
    }
    return Volume(hu, affine, record), Volume(
        labels, affine, {"source": f"labels of phantom {seed}", "synthetic": True}
    )


def phantom_slice(
    seed: int, index: int, shape: tuple[int, int, int], size: tuple[float, float, float], noise_hu: float
) -> np.ndarray:
    """Return one slice of a phantom, (y, x) int16: enough to tell whether a file holds it."""
    return finished(next(paint_slices(draw_anatomy(seed), shape, size, [index])), noise_hu, seed, index)


def finished(canvas: Canvas, noise_hu: float, seed: int, index: int) -> np.ndarray:
    """Return a painted slice as int16 HU, with noise of its own stream."""
    hu = canvas.hu
    if noise_hu > 0:
        hu = hu + noise_hu * normal((hu.shape[0], hu.shape[1]), generator_for(seed, _NOISE, index + 1)).numpy()
    return np.rint(hu).astype(np.int16)


def check_grid(
    seed: int, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float] | None, noise_hu: float
) -> tuple[float, float, float]:
    """Return the voxel size (z, y, x) in mm of a phantom's grid.

    Raises:
        CtgridError: a number is out of its range.
    """
    if seed < 0:
        raise CtgridError(f"seeds must be 0 or more, got {seed}")
    if len(shape) != 3 or min(shape) < 1 or math.prod(shape) > MOST_VOXELS:
        raise CtgridError(f"a phantom has 1 to 2^31 voxels in three dimensions; got {' x '.join(map(str, shape))}")
    size = spacing_mm or (HEIGHT_MM / shape[0], FIELD_MM / shape[1], FIELD_MM / shape[2])
    if len(size) != 3 or not all(0.05 <= mm <= 400 for mm in size):
        raise CtgridError(f"spacing must be 0.05 to 400 mm along z, y and x; got {', '.join(f'{mm:g}' for mm in size)}")
    if not 0 <= noise_hu <= MOST_NOISE_HU:
        raise CtgridError(f"noise must be 0 to {MOST_NOISE_HU:g} HU; got {noise_hu:g}")
    return size


def grid_affine(shape: tuple[int, int, int], size: tuple[float, float, float]) -> np.ndarray:
    """Return the affine of a phantom's grid: LPS, the middle of the chest at the origin."""
    affine = np.diag([-size[2], -size[1], size[0], 1.0])
    affine[:3, 3] = [(n - 1) / 2 * mm for n, mm in zip(shape[::-1], size[::-1], strict=True)]
    affine[2, 3] *= -1
    return affine


def paint_slices(
    anatomy: Anatomy,
    shape: tuple[int, int, int],
    size: tuple[float, float, float],
    indices: Sequence[int] | None = None,
) -> Iterator[Canvas]:
    """Yield a person's slices from the feet up, on their table.

    Args:
        anatomy: the person.
        shape: voxels (z, y, x).
        size: voxel size (z, y, x) in mm.
        indices: which slices; None for all.
    """
    painter = Painter(anatomy)
    z, y, x = ((np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(shape, size, strict=True))
    frame = painter.frame(y, x, size)
    outside = table_cover(painter, frame.rows, frame.columns, (size[1] + size[2]) / 2)
    for height in (z if indices is None else z[list(indices)]) + MIDDLE_MM:
        canvas = painter.paint(frame, float(height))
        free = ((canvas.labels == Label.OUTSIDE) * np.clip((-850 - canvas.hu) / 100, 0, 1)).astype(np.float32)
        for cover, hu in outside:
            canvas.coat(cover * free, hu, Label.TABLE)
        yield canvas


def table_cover(painter: Painter, rows: np.ndarray, columns: np.ndarray, edge: float) -> list[tuple[np.ndarray, float]]:
    """Return mattress, foam and shell of the table: cover (ny, nx) and HU of each.

    Args:
        painter: the person, who lies on it.
        rows: pixel positions along y in mm.
        columns: along x.
        edge: width of an edge in mm.
    """
    person = painter.anatomy
    back = lowest_back(painter)
    y, x = rows[:, None], columns[None, :]
    half = np.float32(212.0)
    top = back + person.gap + 6 - person.bend * (x / half) ** 2
    bottom = back + person.gap + 42 - 1.25 * person.bend * (x / half) ** 2

    def inside(distance: np.ndarray) -> np.ndarray:
        return np.clip(0.5 - distance / edge, 0, 1).astype(np.float32)

    table = np.maximum(np.maximum(top - y, y - bottom), np.abs(x) - half)
    mattress = np.maximum(np.maximum(top - 7 - y, y - top), np.abs(x) - half + 12)
    return [(inside(mattress), -915.0), (inside(table), -240.0), (inside(table + 1.6), -945.0)]


def lowest_back(painter: Painter) -> float:
    """Return how far back the skin reaches, in mm of the scanner's frame."""
    trunk, lowest = painter.trunk, -math.inf
    for z in range(40, 240, 20):
        skin = trunk.radii(float(z))["skin"]
        points = np.stack((skin * np.sin(trunk.phi), skin * np.cos(trunk.phi) + axis_y(z), np.full_like(skin, z)), -1)
        placed = painter.anatomy.to_scanner(points)
        sunk = placed[:, 1] + painter.anatomy.bend * (placed[:, 0] / 212) ** 2
        lowest = max(lowest, float(sunk.max()))
    return lowest
