"""Tell what scanners file beside the slices of a volume from the slices: scouts, screenshots, dose sheets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

from ctgrid.scan.formats.dicom.header import Header

T = TypeVar("T")
AXIAL = 0.7071  # cosine between two directions that are within 45 degrees of each other


def is_stray(header: Header) -> bool:
    """Tell by its own header what is no slice: scout, colour screenshot, no image, no place.

    Args:
        header: One file.
    """
    colour = header.samples != 1 or not header.photometric.startswith("MONOCHROME")
    screenshot = header.is_capture and not _placed(header)
    return header.is_localizer or colour or screenshot or not header.frames


def odd_ones(headers: Sequence[Header]) -> list[Header]:
    """List the few files that, compared with most others, are no slices of the volume.

    They lie across it, as scouts do, or have no place, as dose sheets do, or have another size; and they are unlike the
    slices in something else as well. A slice whose place alone was lost makes the series unreadable.

    Args:
        headers: Files of one volume, strays left out.
    """
    placed = [header for header in headers if _placed(header)]
    if not placed:
        return []
    usual = _most(_kind(header) for header in placed)
    normal = _normal(_most(header.frames[0].orientation for header in placed))
    spacing = _most(header.frames[0].spacing for header in placed)
    odd = []
    for header in headers:
        size, *kind = (one != most for one, most in zip(_kind(header), usual, strict=True))
        if not _placed(header):
            unlike = size or any(kind)
        elif abs(_normal(header.frames[0].orientation) @ normal) < AXIAL:
            unlike = size or any(kind) or header.frames[0].spacing != spacing
        else:
            unlike = size and any(kind)
        if unlike:
            odd.append(header)
    few = 2 * sum(len(header.frames) for header in odd) < sum(len(header.frames) for header in headers)
    return odd if few else []


def _placed(header: Header) -> bool:
    return any(frame.position is not None and frame.orientation is not None for frame in header.frames)


def _kind(header: Header) -> tuple[tuple[int, int], bool, bool]:
    """Return what tells scouts and sheets from slices: size, whether said to be axial, whether they state HU."""
    mapped = header.frames[0].meaning.rescale is not None
    return (header.rows, header.columns), "AXIAL" in header.image_type, mapped


def _normal(orientation: Sequence[float] | None) -> np.ndarray:
    return np.cross(orientation[:3], orientation[3:]) if orientation is not None else np.zeros(3)


def _most(values: Iterable[T]) -> T:
    return Counter(values).most_common(1)[0][0]
