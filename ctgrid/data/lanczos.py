"""Slices, or their latents, at other places along z, by Lanczos' kernel.

Linear interpolation would cost nearly twice as much of the steps from slice to slice.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LOBES = 3
"""Of the kernel, on either side."""


def at_places(sequence: Tensor, source: Tensor, apart: float = 1.0) -> Tensor:
    """Return slices at other places.

    Args:
        sequence: (N, ...) slices, or their latents.
        source: (n,) slice numbers to take, fractions allowed; those beyond the ends are the ends.
        apart: how many slices the places lie apart: above 1 the kernel widens by as much, so that what is left
            out counts as well.

    Returns:
        (n, ...), as ``sequence`` is.
    """
    count, wide = len(sequence), max(apart, 1.0)
    source = source.clamp(0, count - 1)
    reach = math.ceil(LOBES * wide)
    taps = source.floor().long()[:, None] + torch.arange(1 - reach, reach + 1)
    away = (source[:, None] - taps) / wide
    weights = torch.where(away.abs() < LOBES, torch.sinc(away) * torch.sinc(away / LOBES), 0.0)
    weights = (weights / weights.sum(1, keepdim=True)).to(sequence)
    made = sequence.new_zeros(len(source), *sequence.shape[1:])
    for tap, weight in zip(taps.clamp(0, count - 1).T, weights.T, strict=True):
        made += weight.reshape(-1, *[1] * (sequence.ndim - 1)) * sequence[tap]
    return made


def resampled(sequence: Tensor, count: int) -> Tensor:
    """Return ``count`` slices (count, ...) that share out the extent of (N, ...) evenly, as training volumes were."""
    if count == len(sequence):
        return sequence
    apart = len(sequence) / count
    return at_places(sequence, (torch.arange(count, dtype=torch.float64) + 0.5) * apart - 0.5, apart)
