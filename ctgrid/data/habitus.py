"""Body habitus: people of other sizes and shapes than the few that a stage 1 was trained on, drawn from a seed.

A stage 1 that has seen eleven patients makes those patients. As training varies them by poses, so synthesis varies what
it makes: lungs reach lower or less low, bodies are larger, wider or deeper, and bent a little, bone is more or less
dense. Coarse slices are too coarse to be deformed in their plane: a tenth of their edges would be lost. Full slices
lose 4 % at most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from ctgrid.base.draws import generator_for
from ctgrid.data.lanczos import at_places
from ctgrid.scan.protocols.resample import SCALE_HU

STREAM = 3
"""First number of the stream of draws, behind the seed."""

SIZE = 0.10
"""Standard deviation of the logarithm of a body's size in the axial plane."""

WIDTH = 0.10
"""Likewise of its width over its depth."""

FAT = 0.06
"""Standard deviation of how far the skin moves out while ribs and lungs stay, as a share of the body's half width."""

BREATH = 0.045
"""Likewise of how far slices of the middle move along z, as a share of the extent: how deep the breath is."""

BEND_MM = 5.0
"""Likewise of the displacement of a node, within the axial plane."""

BONE = 0.2
"""Standard deviation of the logarithm of what bone has above :data:`SOFT_HU`: how dense it is."""

SOFT_HU = 100.0
"""Above this is bone, or contrast medium."""

NODE_MM = 100.0
"""Distance of nodes; further apart than in training, so that a table stays a table."""

POINTS = 128
"""Points along a slice's side that are moved at most; those between lie evenly between them."""

MOST = 2.0
"""Draws end at so many standard deviations."""

CHEST, SKIN = (0.62, 0.45), (0.88, 0.66)
"""Half width and half depth of what lies within the ribs, and of the body, in halves of the field of view."""


@dataclass(frozen=True)
class Habitus:
    """How a body differs from the one that stage 1 made.

    Attributes:
        width: factor, from side to side.
        depth: likewise from front to back.
        fat: how far the skin moves out, as a share of the body's half width.
        breath: how far slices of the middle move towards the head, as a share of the extent; within 1 / π.
        bend: (nodes along z, 2, m, m) displacements (columns, rows), in halves of the field of view.
        bone: factor of what lies above :data:`SOFT_HU`.
    """

    width: float
    depth: float
    fat: float
    breath: float
    bend: Tensor
    bone: float = 1.0

    def breathed(self, sequence: Tensor, count: int | None = None) -> Tensor:
        """Move slices (N, ...), or their latents, along z, those of the middle furthest.

        Args:
            sequence: of the whole body.
            count: slices to return, of the same extent; None as many as there are.
        """
        place = (torch.arange(count or len(sequence)) + 0.5) / (count or len(sequence))
        source = (place - self.breath * torch.sin(math.pi * place)) * len(sequence) - 0.5
        return at_places(sequence, source, len(sequence) / len(place))

    def across(self, z: Tensor, size: int) -> Tensor:
        """Return the points of the slices at ``z`` (n,) that pixels come from, as ``grid_sample`` takes them."""
        at = z.clamp(0, 1) * (len(self.bend) - 1)
        first = at.floor().long().clamp(max=len(self.bend) - 2)
        part = torch.lerp(self.bend[first], self.bend[first + 1], (at - first)[:, None, None, None].to(self.bend))
        shift = interpolate(part, size=(size, size), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
        pixels = (torch.arange(size) + 0.5) * (2 / size) - 1
        y, x = torch.meshgrid(pixels, pixels, indexing="ij")
        from_x, from_y = self._thinner(x / self.width, y / self.depth)
        points = torch.stack([from_x, from_y], dim=-1) + shift
        return torch.stack([_kept_inside(points[..., 0], x), points[..., 1]], dim=-1)

    def _thinner(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Move points outside the ribs inwards, so that what lies there comes out."""
        inner, outer = (((x / wide).square() + (y / deep).square()).sqrt() for wide, deep in (CHEST, SKIN))
        share = ((inner - 1) / (inner - outer).clamp(min=1e-6)).clamp(0, 1)  # 0 at the ribs, 1 at the skin
        factor = 1 - self.fat * share.square() * (3 - 2 * share)
        return x * factor, y * factor


def _kept_inside(source: Tensor, x: Tensor) -> Tensor:
    """Let what moves inwards move less towards the sides of the field of view, and not at all there.

    What lies beyond is not known; above and below it is air, or table, but at the sides it may be the body.
    """
    move = source - x
    return x + torch.where(move * x > 0, move * (1 - x.square()), move)


def draw_habitus(seed: int, share: float, fov_mm: float, extent_mm: float) -> Habitus:
    """Draw a body.

    Args:
        seed: of the volume.
        share: how far bodies vary; 1 is as much as the constants here say.
        fov_mm: side of the field of view.
        extent_mm: of the volume along z.
    """
    generator = generator_for(seed, STREAM)
    size, width, fat, breath = (torch.randn(4, generator=generator).clamp(-MOST, MOST) * share).tolist()
    count, along = (max(2, round(length / NODE_MM) + 1) for length in (fov_mm, extent_mm))
    nodes = torch.randn(along, 2, count, count, generator=generator).clamp(-MOST, MOST)
    bone = float(torch.randn((), generator=generator).clamp(-MOST, MOST)) * share
    return Habitus(
        width=math.exp(SIZE * size + WIDTH * width / 2),
        depth=math.exp(SIZE * size - WIDTH * width / 2),
        fat=FAT * fat,
        breath=BREATH * breath,
        bend=nodes * (share * BEND_MM * 2 / fov_mm),
        bone=math.exp(BONE * bone),
    )


def deformed(slices: Tensor, bodies: Sequence[Habitus], z: Sequence[float], transposed: bool = False) -> Tensor:
    """Give slices the shapes of bodies, and their bone; above and below the field of view they go on as they end.

    Args:
        slices: (n, C, s, s) in [-1, 1], rows from front to back.
        bodies: (n,) whose each becomes.
        z: (n,) places as shares of the extent, from 0 to 1.
        transposed: whether rows run from side to side instead.

    Returns:
        (n, C, s, s) float32, whatever the slices are in: in 16 bits no place in a slice is right. Bone may exceed 1.
    """
    points, size = [], slices.shape[-1]
    for _, run in groupby(zip(bodies, z, strict=True), key=lambda pair: id(pair[0])):
        whose, places = zip(*run, strict=True)
        points.append(whose[0].across(torch.tensor(places), min(size, POINTS)))
    at = torch.cat(points).to(slices.device).permute(0, 3, 1, 2).contiguous()
    if at.shape[-1] < size:
        at = interpolate(at, size=(size, size), mode="bilinear", align_corners=False)
    at = at.transpose(2, 3).flip(1) if transposed else at
    grid = at.permute(0, 2, 3, 1)
    made = grid_sample(slices.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    denser = torch.tensor([body.bone - 1.0 for body in bodies], device=made.device)[:, None, None, None]
    return made + denser * (made - SOFT_HU / SCALE_HU).clamp(min=0)
