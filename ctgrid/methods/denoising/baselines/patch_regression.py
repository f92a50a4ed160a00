"""Super-resolution without diffusion: each coarse pixel's detail from its surroundings, by local linear regression.

A small form of adjusted anchored neighbourhood regression (A+, Timofte, De Smet and Van Gool 2014): patches of the
coarse slice are grouped around anchors by their shape, and in every group a ridge regression gives what bicubic
enlargement misses in the K x K pixels below the patch's middle. It knows what it was fitted on and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import pad, unfold

from ctgrid.base.errors import CtgridError
from ctgrid.data.degrade import enlarge
from ctgrid.scan.grid import downsample
from ctgrid.scan.protocols.resample import normalise

SIDE = 7
"""Coarse pixels of a patch's side."""

ANCHORS = 128
ROUNDS = 12
"""Of k-means."""

SAMPLE = 40_000
"""Patches that the anchors are found among."""

FLAT = 0.02
"""Contrast, on the scale of [-1, 1], below which a patch counts as flat: 20 HU."""

PENALTY = 1e-3
"""Of the ridge, as a share of the group's mean power."""

PER_ANCHOR = 500
"""Patches to fit on for every anchor: fewer patches have fewer anchors."""

LEAST_PATCHES = 100
"""A group of fewer adds nothing to bicubic enlargement."""


@dataclass(frozen=True)
class PatchRegression:
    """Anchors and their regressions.

    Attributes:
        k: factor of enlargement.
        anchors: (a, p) shapes of coarse patches.
        weights: (a, p, k²) from a patch's differences from its mean to what is added to the bicubic pixels.
        patches: number that it was fitted on.
    """

    k: int
    anchors: Tensor
    weights: Tensor
    patches: int

    @classmethod
    def fit(cls, slices: Sequence[np.ndarray], k: int, seed: int = 0) -> PatchRegression:
        """Fit on slices, shrunk by the rule of the grids.

        Args:
            slices: each (S, S) int16 HU.
            k: factor.
            seed: of the choice of patches for the anchors.

        Raises:
            CtgridError: without slices.
        """
        if not slices:
            raise CtgridError("patch regression needs slices to be fitted on; give training volumes")
        drawn = torch.Generator().manual_seed(seed)
        share = SAMPLE / len(slices)
        shapes, patches = [], 0
        for image in slices:
            shape = _shapes(_patches(_pair(image, k)[0]))
            patches += len(shape)
            shapes.append(shape[torch.randperm(len(shape), generator=drawn)[: max(1, round(share))]])
        anchors = _k_means(torch.cat(shapes), max(1, min(ANCHORS, patches // PER_ANCHOR)), drawn)
        size = SIDE * SIDE
        gram, moment = torch.zeros(len(anchors), size, size), torch.zeros(len(anchors), size, k * k)
        count = torch.zeros(len(anchors))
        for image in slices:
            coarse, full = _pair(image, k)
            around, missing = _patches(coarse), _blocks(full - enlarge(coarse, k), k)
            group = _nearest(_shapes(around), anchors)
            for i in group.unique():
                rows, wanted = around[group == i], missing[group == i]
                gram[i] += rows.T @ rows
                moment[i] += rows.T @ wanted
                count[i] += len(rows)
        power = torch.diagonal(gram, dim1=1, dim2=2).mean(dim=1) + 1e-12
        ridge = torch.eye(size) * (PENALTY * power)[:, None, None]
        weights = torch.linalg.solve(gram + ridge, moment)
        weights[count < LEAST_PATCHES] = 0
        return cls(k, anchors, weights, patches)

    def enlarge(self, coarse: Tensor) -> Tensor:
        """Enlarge coarse slices (B, 1, s, s) in [-1, 1] to (B, 1, k s, k s), clipped to [-1, 1]."""
        side, made = coarse.shape[-1], []
        for image in coarse[:, None]:
            patches = _patches(image)
            group = _nearest(_shapes(patches), self.anchors)
            detail = torch.empty(len(patches), self.k**2)
            for i in group.unique():
                detail[group == i] = patches[group == i] @ self.weights[i]
            made.append(rearrange(detail, "(y x) (a b) -> 1 (y a) (x b)", x=side, a=self.k))
        return (enlarge(coarse, self.k) + torch.stack(made)).clamp(-1, 1)


def _pair(image: np.ndarray, k: int) -> tuple[Tensor, Tensor]:
    """Return a slice (S, S) in HU as coarse (1, 1, s, s) and full (1, 1, S, S) ones in [-1, 1]."""
    full = torch.from_numpy(normalise(image))[None, None]
    return downsample(full, k).clamp(-1, 1), full


def _patches(coarse: Tensor) -> Tensor:
    """Return the patch around every pixel of (1, 1, s, s), less its mean: (s², p)."""
    half = SIDE // 2
    columns = unfold(pad(coarse, (half, half, half, half), mode="replicate"), SIDE)
    patches = rearrange(columns, "1 p n -> n p")
    return patches - patches.mean(dim=1, keepdim=True)


def _shapes(patches: Tensor) -> Tensor:
    """Return patches of about unit length, flat ones near zero."""
    return patches / (patches.norm(dim=1, keepdim=True) + FLAT * SIDE)  # SIDE² pixels of contrast FLAT


def _blocks(images: Tensor, k: int) -> Tensor:
    """Return the k x k pixels below every coarse pixel: (s², k²)."""
    return rearrange(images, "1 1 (y a) (x b) -> (y x) (a b)", a=k, b=k)


def _nearest(shapes: Tensor, anchors: Tensor) -> Tensor:
    """Return the number of the nearest anchor (n,)."""
    return ((anchors * anchors).sum(dim=1) - 2 * shapes @ anchors.T).argmin(dim=1)


def _k_means(shapes: Tensor, count: int, drawn: torch.Generator) -> Tensor:
    """Return anchors (a, p): the means of groups of shapes, begun from some of them."""
    anchors = shapes[torch.randperm(len(shapes), generator=drawn)[:count]].clone()
    for _ in range(ROUNDS):
        group = _nearest(shapes, anchors)
        total = torch.zeros_like(anchors).index_add_(0, group, shapes)
        members = torch.bincount(group, minlength=len(anchors))
        anchors = torch.where((members > 0)[:, None], total / members.clamp(min=1)[:, None], anchors)
    return anchors
