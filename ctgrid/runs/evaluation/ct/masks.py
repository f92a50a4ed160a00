"""Binary masks of stacks of slices, each slice on its own: eroded, opened, filled; quick on bool arrays."""

from __future__ import annotations

import numpy as np


def eroded(mask: np.ndarray, pixels: int = 1) -> np.ndarray:
    """Return what lies more than ``pixels`` steps (up, down, left, right) inside; nothing lies beyond the border.

    Args:
        mask: (n, y, x) bool.
        pixels: steps.
    """
    for _ in range(pixels):
        inner = np.zeros_like(mask)
        inner[:, 1:-1, 1:-1] = (
            mask[:, 1:-1, 1:-1] & mask[:, :-2, 1:-1] & mask[:, 2:, 1:-1] & mask[:, 1:-1, :-2] & mask[:, 1:-1, 2:]
        )
        mask = inner
    return mask


def opened(mask: np.ndarray) -> np.ndarray:
    """Return the mask without what no disc of five pixels' width (a square without its corners) fits into.

    Args:
        mask: (n, y, x) bool; beyond the border lies nothing.
    """
    inner = _box(mask, 2, 1, np.logical_and) & _box(mask, 1, 2, np.logical_and)
    return np.asarray(_box(inner, 2, 1, np.logical_or) | _box(inner, 1, 2, np.logical_or))


def _box(mask: np.ndarray, rows: int, columns: int, join: np.ufunc) -> np.ndarray:
    """Join each pixel with those up to so many rows and columns away."""
    for axis, reach in ((1, rows), (2, columns)):
        wide = np.pad(mask, [(reach, reach) if a == axis else (0, 0) for a in range(3)])
        n = mask.shape[axis]
        parts = [wide[:, i : i + n] if axis == 1 else wide[:, :, i : i + n] for i in range(2 * reach + 1)]
        mask = parts[0].copy()
        for part in parts[1:]:
            join(mask, part, out=mask)
    return mask


def largest(mask: np.ndarray) -> np.ndarray:
    """Return the largest connected part, in three dimensions; nothing where there is none.

    Args:
        mask: (n, y, x) bool.
    """
    from scipy.ndimage import label

    labels, count = label(mask)
    if count < 2:
        return mask
    return np.asarray(labels == 1 + int(np.bincount(labels.ravel())[1:].argmax()))


def filled(mask: np.ndarray) -> np.ndarray:
    """Return the mask with the holes of every slice filled.

    Args:
        mask: (n, y, x) bool.
    """
    from scipy.ndimage import label

    in_plane = np.zeros((3, 3, 3), int)
    in_plane[1] = [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    labels, count = label(~mask, in_plane)
    outside = np.zeros(count + 1, bool)
    for edge in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        outside[np.unique(edge)] = True
    outside[0] = False
    return np.asarray(~outside[labels])
