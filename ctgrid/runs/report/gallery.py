"""Several volumes on one sheet: a row each, with its middle axial, coronal and sagittal slice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_output
from ctgrid.runs.report.animation import Items, Plane, planes_of
from ctgrid.runs.report.drawing import check_window, pixels_of, place_tile, windowed, write_text
from ctgrid.scan.windows import CHEST_WINDOW_HU

if TYPE_CHECKING:
    from PIL.Image import Image

TILE_PX = 256
GAP_PX = 4
CAPTION_PX = 26
VOLUMES = 50
"""Most volumes of a sheet."""

PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")


def gallery(items: Items, window: tuple[float, float] = CHEST_WINDOW_HU) -> Image:
    """Draw a row for each volume; only one volume is in memory at a time.

    Args:
        items: names, and what reads the volumes.
        window: HU shown as black and as white.

    Returns:
        An 8-bit gray ``PIL.Image``; the planes of a volume share one scale.

    Raises:
        CtgridError: for no volume or too many, or a window that is not increasing.
    """
    import PIL.Image

    check_window(window)
    if not 1 <= len(items) <= VOLUMES:
        raise CtgridError(f"a picture shows 1 to {VOLUMES} volumes, got {len(items)}; name fewer")
    step = TILE_PX + GAP_PX
    sheet = PIL.Image.new("L", (len(PLANES) * step - GAP_PX, len(items) * step + CAPTION_PX))
    for row, (name, load) in enumerate(items):
        volume = load()
        extent_mm = max(n * mm for n, mm in zip(volume.shape, volume.spacing_mm, strict=True))
        for column, plane in enumerate(PLANES):
            planes, (row_mm, column_mm), edge = planes_of(volume, plane)
            middle = planes[len(planes) // 2]
            size_mm = middle.shape[1] * column_mm, middle.shape[0] * row_mm
            tile = windowed(middle, pixels_of(*size_mm, TILE_PX / extent_mm), window)
            place_tile(sheet, tile, (column * step, row * step, TILE_PX, TILE_PX), "" if column else name, edge)
    write_text(sheet, (4, len(items) * step + 4), f"middle slices, window {window[0]:g} to {window[1]:g} HU")
    return sheet


def save_gallery(
    items: Items, path: str | Path, window: tuple[float, float] = CHEST_WINDOW_HU, overwrite: bool = False
) -> None:
    """Write :func:`gallery` as PNG, atomically."""
    sheet = gallery(items, window)
    with atomic_output(path, overwrite=overwrite) as temporary:
        sheet.save(temporary, format="PNG")
