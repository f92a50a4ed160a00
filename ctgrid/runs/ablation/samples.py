"""Coarse volumes of a trained stage 1, as images of one size; stage 2 is not needed to compare first stages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ctgrid.base.progress import Progress, silent
from ctgrid.data.volumes import VolumeSlices
from ctgrid.runs.ablation.data import to_hu
from ctgrid.runs.ablation.spec import Sampling
from ctgrid.stages.cells import decode_cells, encode_cells, sample_cells
from ctgrid.stages.codecs.codecs import Codec
from ctgrid.stages.latents.ahead import coarse_volumes
from ctgrid.stages.models.bundle import Bundle, StageFacts, load_stage
from ctgrid.stages.schedules import HELPER, SamplingPlan
from ctgrid.stages.weights.own import moved

DECODED = 16
"""Cells, or grids, decoded at once."""


def first_stage(folder: Path, codec: Codec) -> Bundle:
    """Load a trained stage 1 as a model that makes coarse slices alone; its stage 2 is never called."""
    stage1 = moved(load_stage(folder), codec.device)
    facts = StageFacts.read(folder)
    return Bundle(str(folder), folder, codec, stage1, stage1, facts, facts)


def sample_volumes(
    bundle: Bundle, sampling: Sampling, seeds: Sequence[int], side_px: int, progress: Progress = silent
) -> np.ndarray:
    """Sample coarse volumes and enlarge or shrink their slices to one size.

    Args:
        bundle: see :func:`first_stage`.
        sampling: how.
        seeds: one for each volume.
        side_px: of the result.
        progress: told of every step.

    Returns:
        (volumes, slices, side, side) int16 HU.
    """
    facts = bundle.facts1
    cells, _ = sample_cells(
        bundle,
        sampling.plan(facts.slices, facts.k),
        facts.slices,
        seeds=seeds,
        steps=sampling.steps,
        batch_size=sampling.batch_size,
        progress=progress,
    )
    return np.stack([to_hu(_resized(decode_cells(bundle, volume, DECODED), side_px)) for volume in cells])


def through_codec(bundle: Bundle, volumes: Sequence[VolumeSlices], side_px: int) -> np.ndarray:
    """Return real volumes after all that any model of this K and codec cannot avoid: shrunk, encoded, decoded.

    Args:
        bundle: names K, size and codec.
        volumes: real ones.
        side_px: of the result.

    Returns:
        (volumes, slices, side, side) int16 HU.
    """
    facts = bundle.facts1
    assert facts.fov_mm is not None
    coarse = coarse_volumes(
        list(volumes),
        size=facts.size,
        k=facts.factor,
        slices=facts.slices,
        variants=1,
        fov_mm=facts.fov_mm,
        generator=torch.Generator(),
    )
    passed = []
    for volume in coarse.float():
        missing = -len(volume) % facts.k**2
        filled = torch.cat([volume, volume[-1:].expand(missing, -1, -1)])
        cells = encode_cells(bundle, filled[:, None])[: len(volume)]
        passed.append(to_hu(_resized(decode_cells(bundle, cells, DECODED), side_px)))
    return np.stack(passed)


def joints(plan: SamplingPlan, slices: int) -> list[int]:
    """Return the steps between slices that different grids made; step i lies between slices i and i + 1."""
    maker = np.zeros(slices, dtype=int)
    for number, window in enumerate(window for windows in plan for window in windows):
        made = window.target[(window.target != HELPER) & ~window.known]
        maker[made[made < slices]] = number
    return [int(i) for i in np.flatnonzero(np.diff(maker))]


def _resized(images: Tensor, side_px: int) -> Tensor:
    """Return images (n, 1, s, s) in [-1, 1] as (n, side, side)."""
    if images.shape[-1] != side_px:
        images = interpolate(images, size=(side_px, side_px), mode="bicubic", antialias=True)
    return images[:, 0]
