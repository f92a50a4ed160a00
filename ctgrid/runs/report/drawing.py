"""What every picture of a volume is drawn with: a plane in a window, tiles with labels, sizes from mm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ctgrid.base.errors import CtgridError

if TYPE_CHECKING:
    from PIL.Image import Image


def check_window(window: tuple[float, float]) -> None:
    """Refuse a window that is not two increasing HU values.

    Raises:
        CtgridError: naming what was given.
    """
    low, high = window
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise CtgridError(f"window {low:g},{high:g}: two finite HU values are needed, the lower one first")


def windowed(plane: np.ndarray, box: tuple[int, int], window: tuple[float, float]) -> Image:
    """Return a plane (rows, columns) in HU as an 8-bit gray image of a size.

    Args:
        plane: HU, the first row on top.
        box: width and height of the image, pixels.
        window: HU shown as black and as white.
    """
    import PIL.Image

    unit = (plane.astype(np.float32) - window[0]) / (window[1] - window[0])
    image = PIL.Image.fromarray((unit.clip(0, 1) * 255).round().astype(np.uint8))
    return image.resize(box, PIL.Image.Resampling.BILINEAR)


def pixels_of(width_mm: float, height_mm: float, scale: float) -> tuple[int, int]:
    """Return width and height in pixels at ``scale`` pixels per mm, one at least."""
    return max(1, round(width_mm * scale)), max(1, round(height_mm * scale))


def place_tile(sheet: Image, image: Image, box: tuple[int, int, int, int], label: str, edge: str) -> None:
    """Centre an image in its box and label it.

    Args:
        sheet: is drawn on.
        image: not larger than the box.
        box: left, top, width and height.
        label: written in the upper left corner.
        edge: names the side of the body at the image's left edge.
    """
    left, top, width, height = box
    sheet.paste(image, (left + (width - image.width) // 2, top + (height - image.height) // 2))
    write_text(sheet, (left + 4, top + 2), label)
    write_text(sheet, (left + 4, top + height // 2 - 8), edge)


def write_text(sheet: Image, place: tuple[int, int], text: str) -> None:
    """Write white text with a black outline, its upper left corner at ``place``."""
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(14)
    ImageDraw.Draw(sheet).text(place, text, fill="white", font=font, stroke_width=1, stroke_fill="black")
