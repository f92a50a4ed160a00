"""A volume as a browser can hold it: fewer voxels, fewer HU levels, deflated, in text."""

from __future__ import annotations

import math
import zlib
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.runs.report.settings import Options

if TYPE_CHECKING:
    from ctgrid.scan.volume import Volume

MAX_SIDE = Options().max_side
MAX_SLICES = 201

KNOTS_HU = (-1024.0, -200.0, 400.0, 3072.0)
KNOTS_LEVEL = (0.0, 103.0, 253.0, 420.0)
"""HU and the levels they are stored as; linear in between: steps of 8 HU in lung, 4 in soft tissue, 16 in bone."""


@dataclass(frozen=True)
class Block:
    """One volume, ready to be put into a page.

    Attributes:
        shape: (z, y, x) of what is embedded, in LPS: slices from the feet, rows to the back, columns to the left.
        spacing_mm: (z, y, x) of it.
        whole_shape: (z, y, x) of the volume itself, likewise upright.
        whole_spacing_mm: (z, y, x) of it.
        every: slice ``i`` here is slice ``every * i`` of the volume.
        text: the levels: see :func:`pack`.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    whole_shape: tuple[int, int, int]
    whole_spacing_mm: tuple[float, float, float]
    every: int
    text: str

    def facts(self) -> dict[str, Any]:
        """Return everything but the voxels."""
        return {
            "shape": list(self.shape),
            "spacing_mm": [round(mm, 5) for mm in self.spacing_mm],
            "whole_shape": list(self.whole_shape),
            "whole_spacing_mm": [round(mm, 5) for mm in self.whole_spacing_mm],
            "every": self.every,
        }


def embed(volume: Volume, max_side: int = MAX_SIDE, max_slices: int = MAX_SLICES, progress: Progress = silent) -> Block:
    """Turn a volume upright and make it small enough for a page.

    Slices are shrunk by an antialiased triangle filter until their longer side fits; of too many slices every n-th
    is kept. HU outside -1024 to 3071 are clipped.

    Args:
        volume: any; the nearest orientation to LPS is taken where it is oblique.
        max_side: the most rows or columns.
        max_slices: the most slices.
        progress: told of every slice.

    Raises:
        CtgridError: where a limit is less than 16 voxels or 1 slice.
    """
    from PIL import Image

    if max_side < 16 or max_slices < 1:
        raise CtgridError(f"a page shows at least 16 voxels by 16 of 1 slice, got {max_side} and {max_slices}")
    upright = volume.reoriented("LPS")
    (nz, ny, nx), (dz, dy, dx) = upright.shape, upright.spacing_mm
    factor = max(1.0, max(ny, nx) / max_side)
    rows, columns = max(1, round(ny / factor)), max(1, round(nx / factor))
    every = math.ceil(nz / max_slices)
    chosen = upright.hu[::every]
    levels = np.empty((len(chosen), rows, columns), np.uint16)
    table = level_table()
    for i, hu in enumerate(chosen):
        progress("embedding", i, len(chosen))
        if (rows, columns) != (ny, nx):
            image = Image.fromarray(np.asarray(hu, np.float32))
            hu = np.asarray(image.resize((columns, rows), Image.Resampling.BILINEAR))
        levels[i] = table[np.rint(hu.clip(KNOTS_HU[0], KNOTS_HU[-1] - 1)).astype(np.int32) - int(KNOTS_HU[0])]
    return Block(
        shape=(len(chosen), rows, columns),
        spacing_mm=(dz * every, dy * ny / rows, dx * nx / columns),
        whole_shape=(nz, ny, nx),
        whole_spacing_mm=(dz, dy, dx),
        every=every,
        text=pack(levels),
    )


def level_table() -> np.ndarray:
    """Return the level of every whole HU from -1024 to 3071: (4096,) uint16."""
    hu = np.arange(KNOTS_HU[0], KNOTS_HU[-1])
    return np.rint(np.interp(hu, KNOTS_HU, KNOTS_LEVEL)).astype(np.uint16)


def hu_table() -> list[int]:
    """Return the HU that each level stands for."""
    levels = np.arange(KNOTS_LEVEL[-1] + 1)
    return [round(float(hu)) for hu in np.interp(levels, KNOTS_LEVEL, KNOTS_HU)]


def pack(levels: np.ndarray) -> str:
    """Return levels as text: steps from the slice below, signs folded in, low bytes then high bytes, zlib, base64.

    A step d becomes 2d where d >= 0 and -2d - 1 elsewhere, so that small ones have small codes.

    Args:
        levels: (z, y, x) uint16, less than 16384.
    """
    steps = np.diff(levels.astype(np.int32), axis=0, prepend=0)
    codes = np.where(steps >= 0, 2 * steps, -2 * steps - 1).astype(np.uint16).ravel()
    planes = (codes & 255).astype(np.uint8).tobytes() + (codes >> 8).astype(np.uint8).tobytes()
    return b64encode(zlib.compress(planes, 6)).decode("ascii")


def unpack(text: str, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the levels of a text that :func:`pack` made: (z, y, x) uint16."""
    from base64 import b64decode

    planes = np.frombuffer(zlib.decompress(b64decode(text)), np.uint8).astype(np.int32)
    low, high = planes.reshape(2, *shape)
    codes = low + 256 * high
    steps = np.where(codes % 2, -(codes + 1) // 2, codes // 2)
    return steps.cumsum(axis=0).astype(np.uint16)
