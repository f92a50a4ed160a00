"""How alike two shrunk slices are, forgiving that one was moved a little in-plane."""

from __future__ import annotations

import numpy as np

from ctgrid.metrics.reconstruction import ssim
from ctgrid.scan.protocols.resample import SCALE_HU

MOST_MOVED = 8
"""Pixels, up and down, left and right, by which slices are tried against each other: 6 % of 128."""


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Return the SSIM of two shrunk slices (s, s) in HU over 2000 HU, air being black."""
    return ssim(a.astype(np.float64) + SCALE_HU, b.astype(np.float64) + SCALE_HU, 2 * SCALE_HU)


def best_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Return :func:`similarity`, or that after the second slice was moved to where it fits best, if that is higher."""
    here = similarity(a, b)
    shift = shift_between(a, b)
    if shift == (0, 0):
        return here
    return max(here, similarity(a, moved(b, shift)))


def shift_between(a: np.ndarray, b: np.ndarray) -> tuple[int, int]:
    """Return by how many rows and columns the second slice must be moved to fit the first: highest correlation.

    Args:
        a: (s, s) HU.
        b: (s, s) HU.
    """
    spectra = [np.fft.rfft2(image - image.mean(dtype=np.float64)) for image in (a, b)]
    fit = np.fft.irfft2(spectra[0] * spectra[1].conj(), s=a.shape)
    reach = min(MOST_MOVED, (min(a.shape) - 1) // 2)
    near = np.roll(fit, (reach, reach), axis=(0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    row, column = np.unravel_index(int(near.argmax()), near.shape)
    return int(row) - reach, int(column) - reach


def moved(image: np.ndarray, shift: tuple[int, int]) -> np.ndarray:
    """Return a slice (s, s) moved by rows and columns, air coming in at the other side."""
    result = np.full_like(image, -SCALE_HU)
    (to_y, from_y), (to_x, from_x) = (_spans(d, n) for d, n in zip(shift, image.shape, strict=True))
    result[to_y, to_x] = image[from_y, from_x]
    return result


def _spans(distance: int, size: int) -> tuple[slice, slice]:
    """Return where to and where from, along one axis."""
    return slice(max(distance, 0), size + min(distance, 0)), slice(max(-distance, 0), size - max(distance, 0))
