"""Pictures of volumes: a montage with three views, and a scan before and after with what was removed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_output
from ctgrid.runs.report.drawing import (
    check_window,
    pixels_of,
    place_tile,
    windowed,
    write_text,
)
from ctgrid.runs.report.sheet import GAP_PX, MONTAGE, lay_out
from ctgrid.runs.report.zoom import Zoom, even_place
from ctgrid.scan.geometry import reorient, spacing_mm
from ctgrid.scan.windows import CHEST_WINDOW_HU, SOFT_TISSUE_WINDOW_HU

if TYPE_CHECKING:
    from PIL.Image import Image

    from ctgrid.scan.volume import Volume

COMPARED = 3  # axial slices of a comparison
COMPARED_PX = 400
RESIDUAL_SPREAD = 4.0  # of its standard deviation, from black to grey and from grey to white
CAPTION_PX = 26


def contact_sheet(volume: Volume, window: tuple[float, float] = CHEST_WINDOW_HU) -> Image:
    """Draw a volume as radiologists look at it: the patient's right on the left, superior on top.

    Up to 4 x 4 evenly spaced axial slices, the highest first, labelled with their index from below; then the
    middle coronal and sagittal planes at one common scale. All have their true proportions in mm; the planes of a
    thin volume lie below its slices.

    Args:
        volume: any volume, a single slice included.
        window: HU shown as black and as white.

    Returns:
        An 8-bit gray ``PIL.Image``.

    Raises:
        CtgridError: for a window that is not increasing.
    """
    import PIL.Image

    check_window(window)
    upright = volume.reoriented("LPS")
    hu, (dz, dy, dx) = upright.hu, upright.spacing_mm
    nz, ny, nx = hu.shape

    def gray(plane: np.ndarray, box: tuple[int, int]) -> Image:
        return windowed(plane, box, window)

    shown = min(MONTAGE**2, nz)
    plan = lay_out(shown, nx * dx, ny * dy, nz * dz)
    sheet = PIL.Image.new("L", (plan.width, plan.height + CAPTION_PX))
    for i, box in enumerate(plan.slices):
        z = nz - 1 - int((i + 0.5) * nz / shown)
        tile = gray(hu[z], pixels_of(nx * dx, ny * dy, plan.slice_scale))
        place_tile(sheet, tile, box, f"{z}", edge="R")

    coronal = gray(hu[::-1, ny // 2, :], pixels_of(nx * dx, nz * dz, plan.view_scale))
    sagittal = gray(hu[::-1, :, nx // 2], pixels_of(ny * dy, nz * dz, plan.view_scale))
    place_tile(sheet, coronal, plan.views[0], f"coronal {ny // 2}", edge="R")
    place_tile(sheet, sagittal, plan.views[1], f"sagittal {nx // 2}", edge="A")

    low, high = window
    caption = f"{nx} x {ny} x {nz} voxels    {dx:.2f} x {dy:.2f} x {dz:.2f} mm    window {low:g} to {high:g} HU"
    write_text(sheet, (4, plan.height + 5), caption)
    return sheet


def save_picture(
    volume: Volume,
    path: str | Path,
    window: tuple[float, float] = CHEST_WINDOW_HU,
    overwrite: bool = False,
) -> None:
    """Write :func:`contact_sheet` as PNG, atomically."""
    sheet = contact_sheet(volume, window)
    with atomic_output(path, overwrite=overwrite) as temporary:
        sheet.save(temporary, format="PNG")


def shown_slices(count: int) -> list[int]:
    """Return the axial slices of a comparison, from the feet: evenly spaced, at most three."""
    shown = min(COMPARED, count)
    return [int((i + 0.5) * count / shown) for i in range(shown)]


def comparison(
    before: Volume,
    after: Volume,
    slices: Sequence[int] | None = None,
    window: tuple[float, float] = CHEST_WINDOW_HU,
) -> Image:
    """Draw a scan, the result and what was removed side by side, one row per axial slice, the highest on top.

    A last row looks closely at the evenest place of soft tissue in these slices, in the window for that, with the
    standard deviation of the same region before and after.

    Args:
        before: the scan.
        after: the result on its grid.
        slices: numbers of the slices from the feet; None takes :func:`shown_slices`.
        window: HU shown as black and as white, of scan and result.

    Returns:
        An 8-bit gray ``PIL.Image``. What was removed is grey where that is nothing; the caption tells its window.

    Raises:
        CtgridError: for a window that is not increasing, or volumes of different shape.
    """
    import PIL.Image

    check_window(window)
    if before.shape != after.shape:
        raise CtgridError(f"volumes of shape {before.shape} and {after.shape} cannot be compared")
    (hu, affine), (clean, _) = (reorient(volume.hu, before.affine, "LPS") for volume in (before, after))
    _, dy, dx = spacing_mm(affine)
    chosen = sorted(shown_slices(len(hu)) if slices is None else slices, reverse=True)
    removed = [hu[z].astype(np.float32) - clean[z] for z in chosen]
    spread = max(1.0, RESIDUAL_SPREAD * float(np.std(np.stack(removed))))
    box = pixels_of(hu.shape[2] * dx, hu.shape[1] * dy, COMPARED_PX / max(hu.shape[1] * dy, hu.shape[2] * dx))
    step = COMPARED_PX + GAP_PX
    place = even_place(clean, chosen, (dy, dx))
    rows = len(chosen) + (place is not None)
    sheet = PIL.Image.new("L", (3 * step - GAP_PX, rows * step + CAPTION_PX))
    for row, (z, rest) in enumerate(zip(chosen, removed, strict=True)):
        tiles = [
            (windowed(hu[z], box, window), f"before, slice {z}"),
            (windowed(clean[z], box, window), "after"),
            (windowed(rest, box, (-spread, spread)), "removed"),
        ]
        for column, (tile, label) in enumerate(tiles):
            place_tile(sheet, tile, (column * step, row * step, COMPARED_PX, COMPARED_PX), label, edge="R")
    caption = f"window {window[0]:g} to {window[1]:g} HU; removed: {-spread:.0f} to {spread:.0f} HU"
    if place is not None:
        for column, (tile, label) in enumerate(_closely(hu, clean, place, (dy, dx), spread)):
            place_tile(sheet, tile, (column * step, len(chosen) * step, COMPARED_PX, COMPARED_PX), label, edge="R")
        caption += f"; last row: {SOFT_TISSUE_WINDOW_HU[0]:g} to {SOFT_TISSUE_WINDOW_HU[1]:g} HU"
    write_text(sheet, (4, rows * step + 2), caption)
    return sheet


def _closely(
    hu: np.ndarray, clean: np.ndarray, place: Zoom, spacing: tuple[float, float], spread: float
) -> list[tuple[Image, str]]:
    """Return before, after and removed around a place, framed, each with its label."""
    from PIL import ImageDraw

    before, after = (volume[place.number].astype(np.float32) for volume in (hu, clean))
    shown = [part.stop - part.start for part in place.shown]
    height, width = (count * mm for count, mm in zip(shown, spacing, strict=True))
    box = pixels_of(width, height, COMPARED_PX / max(width, height))
    tiles = []
    for plane, window, name in (
        (before, SOFT_TISSUE_WINDOW_HU, f"before, slice {place.number}"),
        (after, SOFT_TISSUE_WINDOW_HU, "after"),
        (before - after, (-spread, spread), "removed"),
    ):
        tile = windowed(plane[place.shown], box, window)
        left, top, right, bottom = place.frame
        corners = [left * box[0], top * box[1], right * box[0] - 1, bottom * box[1] - 1]
        ImageDraw.Draw(tile).rectangle(corners, outline="white")
        tiles.append((tile, f"{name}: {float(np.std(plane[place.region])):.1f} HU in the square"))
    return tiles


def save_comparison(
    before: Volume,
    after: Volume,
    path: str | Path,
    slices: Sequence[int] | None = None,
    overwrite: bool = False,
) -> None:
    """Write :func:`comparison` as PNG, atomically."""
    sheet = comparison(before, after, slices)
    with atomic_output(path, overwrite=overwrite) as temporary:
        sheet.save(temporary, format="PNG")
