"""Scroll through volumes: gif or mp4 of their axial, coronal or sagittal slices, in true proportions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import full_suffix
from ctgrid.runs.report.drawing import check_window, pixels_of, place_tile, windowed
from ctgrid.runs.report.settings import Plane
from ctgrid.scan.windows import CHEST_WINDOW_HU

if TYPE_CHECKING:
    from ctgrid.scan.volume import Volume

Items = Sequence[tuple[str, Callable[[], "Volume"]]]
"""Names of volumes and what reads them."""

SIDE_PX = {".mp4": 512, ".gif": 320}
"""Longest side of a movie: a gif is hardly compressed."""

FRAMES = {".mp4": 600, ".gif": 150}
"""Most frames of a movie; of more slices, evenly many are shown."""

VOLUMES = 9
"""Most volumes side by side."""

GAP_PX = 4
FPS = 16.0


def save_animation(
    items: Items,
    path: str | Path,
    *,
    plane: Plane = "axial",
    window: tuple[float, float] = CHEST_WINDOW_HU,
    fps: float = FPS,
    overwrite: bool = False,
) -> tuple[int, int, int]:
    """Write a movie that scrolls through volumes, several of them side by side, all or nothing.

    Frames go from the head to the feet, from the front to the back, or from the patient's right to the left;
    several volumes take equally long. Sides are in proportion to mm; volumes side by side fill a tile each.

    Args:
        items: names, and what reads the volumes, one after the other.
        path: ends in .gif or .mp4.
        plane: of the slices.
        window: HU shown as black and as white.
        fps: frames per second.
        overwrite: replace a file that is there.

    Returns:
        Frames written, height and width of the movie.

    Raises:
        CtgridError: for another suffix, plane or window, no volume or too many, or a path that cannot be written.
    """
    from ctgrid.data.video.write import check_movie, write_video  # PyTorch comes with it; pictures need none

    path, suffix = check_movie(path, fps=fps, overwrite=overwrite), full_suffix(path)
    if suffix not in SIDE_PX:
        raise CtgridError(f"cannot write {path}: a scrolling preview must end in {' or '.join(SIDE_PX)}")
    check_window(window)
    if not 1 <= len(items) <= VOLUMES:
        raise CtgridError(f"a movie shows 1 to {VOLUMES} volumes side by side, got {len(items)}; name fewer")
    columns = math.ceil(math.sqrt(len(items)))
    side = (SIDE_PX[suffix] - GAP_PX * (columns - 1)) // columns
    titled = len(items) > 1
    reels = [reel(load(), plane, window, side, FRAMES[suffix], name if titled else "") for name, load in items]
    frames = reels[0] if len(reels) == 1 else side_by_side(reels, columns, side)
    return write_video(frames, path, fps=fps, overwrite=overwrite)


def reel(
    volume: Volume, plane: Plane, window: tuple[float, float], side_px: int, frames: int, title: str = ""
) -> np.ndarray:
    """Draw the slices of a volume along one axis, each labelled with its number and the side at its left edge.

    Args:
        volume: any volume.
        plane: of the slices.
        window: HU shown as black and as white.
        side_px: the longer side of a frame.
        frames: at most; evenly spaced where there are more slices.
        title: written before the slice's number.

    Returns:
        (n, height, width) uint8.
    """
    import PIL.Image

    planes, (row_mm, column_mm), edge = planes_of(volume, plane)
    count, rows, columns = planes.shape
    height_mm, width_mm = rows * row_mm, columns * column_mm
    box = pixels_of(width_mm, height_mm, side_px / max(width_mm, height_mm))
    chosen = np.arange(count) if count <= frames else np.linspace(0, count - 1, frames).round().astype(int)
    drawn = np.empty((len(chosen), box[1], box[0]), np.uint8)
    for frame, number in zip(drawn, chosen, strict=True):
        sheet = PIL.Image.new("L", box)
        label = f"{title} {_label(plane, int(number), count)}".strip()
        place_tile(sheet, windowed(planes[number], box, window), (0, 0, *box), label, edge)
        frame[:] = np.asarray(sheet)
    return drawn


def planes_of(volume: Volume, plane: Plane) -> tuple[np.ndarray, tuple[float, float], str]:
    """Return a volume as a stack of planes as radiologists look at them, a view without a copy.

    Args:
        volume: any volume.
        plane: axial from the head, coronal from the front, or sagittal from the patient's right.

    Returns:
        (n, rows, columns) HU, the first row on top; the spacing of rows and columns in mm; the side of the
        patient at the left edge.

    Raises:
        CtgridError: for another plane.
    """
    from ctgrid.scan.geometry import reorient, spacing_mm

    hu, affine = reorient(volume.hu, volume.affine, "LPS")
    dz, dy, dx = spacing_mm(affine)
    if plane == "axial":
        return hu[::-1], (dy, dx), "R"
    if plane == "coronal":
        return hu[::-1].transpose(1, 0, 2), (dz, dx), "R"
    if plane == "sagittal":
        return hu[::-1].transpose(2, 0, 1), (dz, dy), "A"
    raise CtgridError(f"plane must be axial, coronal or sagittal, got {plane!r}")


def side_by_side(reels: Sequence[np.ndarray], columns: int, side_px: int) -> Iterator[np.ndarray]:
    """Yield frames with a tile for each reel, shorter reels slowed down to the longest.

    Args:
        reels: (n_i, h_i, w_i) uint8, sides at most ``side_px``.
        columns: tiles in a row.
        side_px: side of a tile.
    """
    step, length = side_px + GAP_PX, max(len(reel) for reel in reels)
    rows = -(-len(reels) // columns)
    for number in range(length):
        frame = np.zeros((rows * step - GAP_PX, columns * step - GAP_PX), np.uint8)
        for i, shown in enumerate(reels):
            image = shown[number * len(shown) // length]
            top, left = ((side_px - n) // 2 + p * step for n, p in zip(image.shape, divmod(i, columns), strict=True))
            frame[top : top + image.shape[0], left : left + image.shape[1]] = image
        yield frame


def _label(plane: Plane, number: int, count: int) -> str:
    """Return a slice's number in the array as ``ctgrid`` counts it: axial from the feet."""
    return f"{count - 1 - number}" if plane == "axial" else f"{plane} {number}"
