"""Slices in the orientation that a model speaks: turned there, and back, without a voxel changed.

An orientation names the axis codes of (columns, rows, slices), so that slices in display orientation are "LPS":
columns go to the patient's left, rows to the back, slices to the head.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.scan.geometry import reorientation, turn
from ctgrid.scan.protocols.canonical import DISPLAY, CanonicalRecord, from_canonical, to_canonical
from ctgrid.scan.volume import Volume

if TYPE_CHECKING:
    from torch import Tensor


def check_orientation(codes: str, where: str) -> str:
    """Return axis codes of axial slices.

    Args:
        codes: of (columns, rows, slices).
        where: what to name in the error.

    Raises:
        CtgridError: they are none, or slices do not follow each other from the feet to the head or back.
    """
    try:
        reorientation(codes, DISPLAY)
    except CtgridError as error:
        raise CtgridError(f"{where}: {error}") from error
    if codes[2] not in "SI":
        raise CtgridError(f"{where}: slices of orientation {codes!r} are not axial; a model of axial slices is needed")
    return codes


def upright(
    slices: np.ndarray, orientation: str, spacing_mm: tuple[float, float, float]
) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Turn slices to display orientation.

    Args:
        slices: (n, rows, columns).
        orientation: theirs.
        spacing_mm: (z, y, x), between slices, rows and columns.

    Returns:
        The slices, contiguous, and their spacing (z, y, x).
    """
    axes, _ = reorientation(orientation, DISPLAY)
    x, y, z = (spacing_mm[2 - axis] for axis in axes)
    return np.ascontiguousarray(turn(slices, orientation, DISPLAY)), (z, y, x)


def turn_images(images: Tensor, source: str, target: str) -> Tensor:
    """Turn axial images (..., rows, columns) within their plane; their order is left alone.

    Args:
        images: at least two dimensions.
        source: orientation as it is.
        target: orientation wanted.
    """
    axes, flips = reorientation(source, target)
    if axes[0] == 1:
        images = images.transpose(-1, -2)
    flipped = [axis for axis, flip in ((-1, flips[0]), (-2, flips[1])) if flip]
    return images.flip(flipped) if flipped else images


@dataclass(frozen=True)
class Oriented:
    """The way back from a model's slices of a scan to the scan.

    Attributes:
        record: of the canonical form.
        orientation: the model's.
    """

    record: CanonicalRecord
    orientation: str

    @property
    def reversed_z(self) -> bool:
        """Whether the model's slices go from the head to the feet."""
        return self.orientation[2] != DISPLAY[2]

    def numbers(self, canonical: Iterable[int]) -> list[int]:
        """Return the model's numbers of slices that are counted from the feet."""
        last = self.record.slices - 1
        return [last - i if self.reversed_z else i for i in canonical]

    def place(self, canonical: tuple[int, int] | None) -> tuple[int, int] | None:
        """Return where a part of a longer scan lies: its first slice as the model counts, and slices of the whole.

        Args:
            canonical: the same counted from the feet; None is the whole scan.
        """
        if canonical is None or not self.reversed_z:
            return canonical
        first, whole = canonical
        return whole - first - self.record.slices, whole


def to_oriented(volume: Volume, size: int, orientation: str) -> tuple[np.ndarray, Oriented]:
    """Bring a scan, its own slices, into the canonical form turned to an orientation.

    Args:
        volume: the scan, in any orientation.
        size: rows and columns wanted.
        orientation: wanted, of axial slices.

    Returns:
        (n, size, size) float32 in [-1, 1], contiguous, and what :func:`from_oriented` needs.
    """
    unit, record = to_canonical(volume, size=size, slices=None)
    return np.ascontiguousarray(turn(unit, DISPLAY, orientation)), Oriented(record, orientation)


def from_oriented(unit: np.ndarray, way: Oriented) -> Volume:
    """Put slices (n, size, size) of a model back onto the scan's own grid; see :func:`from_canonical`."""
    return from_canonical(np.ascontiguousarray(turn(unit, way.orientation, DISPLAY)), way.record)
