"""Slices made smaller before anatomy is looked for or neighbours are compared: quick, and equal for all volumes."""

from __future__ import annotations

import numpy as np
from einops import reduce

from ctgrid.base.errors import CtgridError
from ctgrid.scan.protocols.resample import SCALE_HU

SIDE_PX = 128
"""Slices are shrunk by the largest whole factor that leaves this many pixels a side, or some more."""

CHUNK = 16
"""Slices that are turned to floating numbers at once."""


def clipped(hu: np.ndarray) -> np.ndarray:
    """Return HU (n, S, S) clipped to [-1000, 1000], int16: the window in which all measures are taken."""
    if hu.ndim != 3 or 0 in hu.shape:
        raise CtgridError(f"CT measures need slices (n, S, S), got {hu.shape}")
    return np.clip(hu, -SCALE_HU, SCALE_HU).astype(np.int16)


def shrink_factor(side: int, wanted: int = SIDE_PX) -> int:
    """Return the largest whole factor that leaves at least ``wanted`` pixels of a side, 1 for a shorter side."""
    return max(side // wanted, 1)


def shrunk(hu: np.ndarray, side: int = SIDE_PX) -> np.ndarray:
    """Return slices as means of square blocks; the last row and column of blocks may be filled up with their edge.

    Args:
        hu: (n, S, S) in HU.
        side: pixels to leave, at least, where S allows; see :func:`shrink_factor`.

    Returns:
        (n, s, s) float32, s being S / f rounded up.
    """
    f = shrink_factor(min(hu.shape[1:]), side)
    if f == 1:
        return hu.astype(np.float32)
    missing = [(0, 0), *((0, -n % f) for n in hu.shape[1:])]
    parts = (np.pad(hu[i : i + CHUNK], missing, mode="edge").astype(np.float32) for i in range(0, len(hu), CHUNK))
    return np.concatenate([reduce(part, "n (y a) (x b) -> n y x", "mean", a=f, b=f) for part in parts])


def enlarged(mask: np.ndarray, side: int) -> np.ndarray:
    """Return a mask (s, s) of blocks as a mask (S, S) of the pixels that :func:`shrunk` made them of.

    Args:
        mask: bool.
        side: S.
    """
    block = -(-side // mask.shape[0])
    return np.kron(mask, np.ones((block, block), bool))[:side, :side]
