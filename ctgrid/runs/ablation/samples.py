"""Volumes of a trained stage 1 as images of one size: its coarse slices, or what a stage 2 makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ctgrid.base.progress import Progress, silent
from ctgrid.data.volumes import VolumeSlices
from ctgrid.methods.synthesis.settings import REFINE_NOISE_MM
from ctgrid.runs.ablation.data import to_hu
from ctgrid.runs.ablation.spec import Sampling
from ctgrid.stages.cells import batches, decode_cells, encode_cells, refine, sample_cells
from ctgrid.stages.codecs.codecs import Codec
from ctgrid.stages.latents.ahead import coarse_volumes
from ctgrid.stages.models.bundle import Bundle, load_stage
from ctgrid.stages.models.facts import StageFacts
from ctgrid.stages.schedules import HELPER, SamplingPlan
from ctgrid.stages.weights.own import moved

DECODED = 16
"""Cells, or grids, decoded at once."""


def trained_stages(folder: Path, codec: Codec, second: Path | None = None) -> Bundle:
    """Load a trained stage 1, and the stage 2 behind it; without one the model makes coarse slices alone."""
    stage1, facts1 = moved(load_stage(folder), codec.device), StageFacts.read(folder)
    if second is None:
        return Bundle(str(folder), folder, codec, stage1, stage1, facts1, facts1)
    stage2, facts2 = moved(load_stage(second), codec.device), StageFacts.read(second)
    return Bundle(str(folder), folder, codec, stage1, stage2, facts1, facts2)


def sample_volumes(
    bundle: Bundle,
    sampling: Sampling,
    seeds: Sequence[int],
    side_px: int,
    progress: Progress = silent,
    refine_steps: int | None = None,
) -> np.ndarray:
    """Sample volumes and enlarge or shrink their slices to one size.

    Args:
        bundle: see :func:`trained_stages`.
        sampling: how.
        seeds: one for each volume.
        side_px: of the result.
        progress: told of every step.
        refine_steps: network calls per slice of stage 2; None leaves slices coarse.

    Returns:
        (volumes, slices, side, side) int16 HU.
    """
    facts = bundle.facts1
    cells, _ = sample_cells(
        bundle,
        sampling.plan(facts.slices, facts.k),
        sampling.count(facts.slices),
        seeds=seeds,
        steps=sampling.steps,
        batch_size=sampling.batch_size,
        progress=progress,
    )
    volumes = []
    for seed, volume in zip(seeds, cells, strict=True):
        images = decode_cells(bundle, volume, DECODED)
        if refine_steps is not None:
            images = _refined(bundle, images, seed, refine_steps)
        volumes.append(to_hu(_resized(images, side_px)))
    return np.stack(volumes)


@torch.no_grad()
def _refined(bundle: Bundle, coarse: Tensor, seed: int, steps: int) -> Tensor:
    """Return the slices (n, 1, S, S) that stage 2 makes of coarse ones, its noise along z that of synthesis."""
    step_mm = (bundle.facts1.extent_mm or len(coarse)) / len(coarse)
    parts = []
    for part in batches(len(coarse), DECODED):
        z_mm = [(number + 0.5) * step_mm for number in range(part.start, part.stop)]
        parts.append(refine(bundle, coarse[part], seed=seed, steps=steps, z_mm=z_mm, noise_mm=REFINE_NOISE_MM)[0])
    return torch.cat(parts)


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
