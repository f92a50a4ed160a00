"""Which slices are measured, and which of them a method must see."""

from __future__ import annotations

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.scan.volume import Volume


def parse_slices(text: str, count: int) -> np.ndarray:
    """Read ``A:B:STEP``, as Python's slices: parts may be left out, negative numbers count from the end.

    Args:
        text: what the user wrote; empty or ":" is all.
        count: slices of the volume.

    Returns:
        (m,) indices, increasing.

    Raises:
        CtgridError: where it cannot be read, or selects nothing.
    """
    try:
        parts = [int(part) if part.strip() else None for part in text.split(":")]
        chosen = np.arange(count)[slice(*parts) if len(parts) > 1 or parts[0] is None else [parts[0]]]
    except (ValueError, TypeError, IndexError) as error:
        raise CtgridError(f"slices {text!r} of {count}: write A:B:STEP, such as 10:120:10") from error
    if len(chosen) == 0:
        raise CtgridError(f"slices {text!r} select none of {count}")
    return np.sort(chosen)


def with_context(indices: np.ndarray, count: int, context: int | None) -> np.ndarray:
    """Return the slices that a method must see: the measured ones and their neighbours, or all.

    Args:
        indices: (m,) measured slices.
        count: slices of the volume.
        context: neighbours on either side; None for the whole volume.
    """
    if context is None:
        return np.arange(count)
    reach = np.arange(-context, context + 1)
    return np.unique(np.clip(indices[:, None] + reach, 0, count - 1))


def runs_of(indices: np.ndarray, context: int | None) -> list[np.ndarray]:
    """Part slices into those that go through a method together.

    Slice-wise methods take all at once; those that look at neighbours take only unbroken runs.

    Args:
        indices: (m,) increasing.
        context: as in :func:`with_context`.
    """
    if context == 0:
        return [indices]
    return np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1)


def subvolume(hu: np.ndarray, volume: Volume, indices: np.ndarray) -> Volume:
    """Return slices of a volume as a volume, which lies where the first of them lies.

    Args:
        hu: (m, y, x) their values.
        volume: what they come from.
        indices: (m,) where in it; its spacing holds for runs without gaps.
    """
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, 2] * float(indices[0])
    return Volume(hu, affine, volume.record)
