"""A square of so many mm around the body, cut out of the slices of any volume: fields of view then differ no more."""

from __future__ import annotations

import numpy as np

from ctgrid.scan.protocols.body import body_centre
from ctgrid.scan.protocols.resample import SCALE_HU, denormalise, normalise, resize_plane

AT_ONCE = 16
"""Slices resized at once."""


def square(
    hu: np.ndarray,
    spacing_mm: tuple[float, float, float],
    field_mm: float,
    side: int,
    wanted: slice = slice(None),
) -> np.ndarray:
    """Cut slices out around the body, to whole pixels, and resize them (antialiased bicubic).

    Args:
        hu: (n, H, W) int16 within [-1000, 1000].
        spacing_mm: (z, y, x).
        field_mm: side of the square; air is put where it reaches beyond the slices.
        side: pixels along it.
        wanted: of the slices; the body is looked for in all of them.

    Returns:
        (n, side, side) int16.
    """
    planes = cut(hu[wanted], body_centre(hu, spacing_mm), spacing_mm, field_mm)
    return np.rint(resized(planes, side)).astype(np.int16)


def cut(
    hu: np.ndarray, centre: tuple[float, float], spacing_mm: tuple[float, float, float], field_mm: float
) -> np.ndarray:
    """Cut a square of ``field_mm`` around (row, column) out of slices, to whole pixels, air beyond them."""
    spans = []
    for middle, spacing, size in zip(centre, spacing_mm[1:], hu.shape[1:], strict=True):
        side = max(1, round(field_mm / spacing))
        first = round(middle + 0.5 - side / 2)
        spans.append((first, first + side, size))
    inside = tuple(slice(max(first, 0), min(stop, size)) for first, stop, size in spans)
    beyond = [(max(-first, 0), max(stop - size, 0)) for first, stop, size in spans]
    return np.pad(hu[:, inside[0], inside[1]], [(0, 0), *beyond], constant_values=-int(SCALE_HU))


def resized(planes: np.ndarray, side: int) -> np.ndarray:
    """Resize slices (n, H, W) in HU to (n, side, side) float32, a few at a time."""
    parts = (planes[i : i + AT_ONCE] for i in range(0, len(planes), AT_ONCE))
    return np.concatenate([denormalise(resize_plane(normalise(part), side, side)) for part in parts])
