"""Stage 2's noise along z: shared by all slices of a volume, independent, or changing slowly from one to the next."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ctgrid.base.draws import generator_for

SHARED, VARIED = (), (2,)
"""Ends of the names of the streams: one for a volume, and one for every anchor of it."""

FINEST_MM = 0.001
"""Slices nearer than this are one, where noise is independent."""


def slice_noise(
    shape: Sequence[int], stream: int, seeds: Sequence[int], z_mm: Sequence[float], length_mm: float
) -> Tensor:
    """Draw standard normal noise for slices that depends on a volume's seed and the slice's place alone.

    Anchors lie every L mm, each with a field of its own. Between anchors a and a + 1 the noise is
    cos(π t / 2) n_a + sin(π t / 2) n_(a+1), t being the way from one to the other: its variance is 1 everywhere,
    it turns equally fast everywhere, and slices d < L apart between two anchors correlate by cos(π d / 2 L).

    Args:
        shape: of one slice's noise.
        stream: first number of the streams' names behind the seed.
        seeds: (B,) of the volumes that slices belong to.
        z_mm: (B,) places of the slices, 0 or more.
        length_mm: L; 0 makes slices independent, infinity gives all of a volume the same.

    Returns:
        (B, *shape) float32, on the CPU.
    """
    fields: dict[tuple[int, ...], Tensor] = {}

    def field(*name: int) -> Tensor:
        if name not in fields:
            fields[name] = torch.randn(tuple(shape), generator=generator_for(*name))
        return fields[name]

    def of(seed: int, z: float) -> Tensor:
        if math.isinf(length_mm):
            return field(seed, stream, *SHARED)
        if length_mm == 0:
            return field(seed, stream, *VARIED, round(z / FINEST_MM))
        anchor = math.floor(z / length_mm)
        turn = math.pi / 2 * (z / length_mm - anchor)
        first, second = (field(seed, stream, *VARIED, number) for number in (anchor, anchor + 1))
        return math.cos(turn) * first + math.sin(turn) * second

    return torch.stack([of(seed, z) for seed, z in zip(seeds, z_mm, strict=True)])
