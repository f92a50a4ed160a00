"""Power of noise by spatial frequency, in rings from 0 to the pixels' diagonal Nyquist frequency."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

BINS = 64

COUNTED_AT = 256
"""Pixels along images whose frequencies are counted: as many fall into each ring of any large image, by share."""


@cache
def rings(side: int) -> np.ndarray:
    """Return the ring, 0 to 63, of every frequency of images (side, side), in the order of the FFT."""
    along = np.fft.fftfreq(side)
    ring = np.hypot(along[:, None], along) / math.sqrt(0.5) * BINS
    return np.asarray(np.minimum(ring, BINS - 1).astype(int))


def power_of(noise: np.ndarray) -> Tensor:
    """Return the power of noise (d, y, x) by spatial frequency in its middle, in :data:`BINS` rings of sum 1."""
    side = min(noise.shape[1:]) // 2
    top, left = ((n - side) // 2 for n in noise.shape[1:])
    return in_rings(np.square(np.abs(np.fft.fft2(noise[:, top : top + side, left : left + side]))).mean(0))


def in_rings(power: np.ndarray) -> Tensor:
    """Return power at the frequencies of an image in rings.

    Args:
        power: (s, s), in the order of the FFT; s of 64 or more, or rings stay empty.

    Returns:
        (64,) float32 of sum 1.
    """
    total = np.bincount(rings(len(power)).ravel(), power.ravel(), BINS)
    return torch.from_numpy((total / total.sum()).astype(np.float32))


def frequencies(spacing_mm: tuple[float, float]) -> Tensor:
    """Return the spatial frequency in the middle of every ring, 1/mm, (64,), of pixels (y, x)."""
    return (torch.arange(BINS) + 0.5) * (math.sqrt(0.5) / BINS) / math.sqrt(spacing_mm[0] * spacing_mm[1])


def share_of(part: Tensor, part_hu: float, rest: Tensor, rest_hu: float) -> Tensor:
    """Return the share of the variance at every frequency that a part of the noise has.

    Args:
        part: its power in rings, (64,), of any sum.
        part_hu: its standard deviation.
        rest: likewise of the rest.
        rest_hu: likewise.

    Returns:
        0 to 1, (64,).
    """
    one, other = (power / power.sum() * hu**2 for power, hu in ((part, part_hu), (rest, rest_hu)))
    return one / (one + other).clamp(min=1e-12)


@cache
def white() -> Tensor:
    """Return the power of white noise in rings, (64,) of sum 1."""
    return torch.from_numpy((np.bincount(rings(COUNTED_AT).ravel(), minlength=BINS) / COUNTED_AT**2).astype(np.float32))
