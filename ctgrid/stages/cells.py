"""The two stages as functions of tensors: coarse cells along z, and full slices from coarse ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctgrid.base.draws import generator_for
from ctgrid.base.progress import Progress, silent
from ctgrid.data.degrade import enlarge
from ctgrid.scan.grid import from_grid, to_grid
from ctgrid.stages.diffusion.known import Known, cells_mask
from ctgrid.stages.diffusion.sampling import sample
from ctgrid.stages.diffusion.schedule import LINEAR, Spacing
from ctgrid.stages.models.bundle import Bundle
from ctgrid.stages.models.facts import StageFacts
from ctgrid.stages.networks.dit import DiT
from ctgrid.stages.networks.stacked import on_grids
from ctgrid.stages.schedules import HELPER, PlannedGrid, SamplingPlan
from ctgrid.stages.slice_noise import slice_noise

COARSE, REFINE = 1, 2
"""First number of a stage's noise streams, behind the seed."""

Watch = Callable[[str], AbstractContextManager[None]]
"""Counts the seconds of a ``with`` block under a phase's name."""


def tokens(model: DiT) -> int:
    """Tokens of one forward pass."""
    return int(model.latent_size // model.patch_size) ** 2


def z_of(position: Tensor, slices: int, reach: int) -> Tensor:
    """Turn slice numbers into absolute z, by the rule that training volumes were resampled with.

    Slices are cells that share out the volume evenly (``align_corners=False``), so that one slice lies in its
    middle and the distance of N slices is the volume's extent over N.

    Args:
        position: slice numbers, any shape, fractions allowed.
        slices: N, slices of the volume.
        reach: slices of a training volume; z lies in [0, reach).

    Returns:
        float32, the shape of ``position``, within 0 ... reach - 1.
    """
    return ((position.double() + 0.5) * (reach / slices) - 0.5).clamp(0, reach - 1).float()


def sample_cells(
    bundle: Bundle,
    plan: SamplingPlan,
    slices: int,
    *,
    seeds: Sequence[int],
    steps: int,
    sampler: str = "dpm++",
    spacing: Spacing | None = None,
    stop: int = 0,
    filling: Mapping[str, Any] | None = None,
    batch_size: int = 8,
    progress: Progress = silent,
) -> tuple[Tensor, int]:
    """Sample the coarse sequences of volumes (stage 1); a batch holds grids of all of them.

    Args:
        bundle: the model.
        plan: grids to sample, pass by pass.
        slices: N, slices of a volume.
        seeds: of V volumes; every grid has its own stream of noise, so a volume depends neither on the batch size
            nor on the other volumes.
        steps: network calls per grid.
        sampler: see :func:`ctgrid.stages.diffusion.sample`.
        spacing: likewise.
        stop: likewise.
        filling: steps, sampler and spacing of the passes after the first, which fill gaps, by the model's own network
            for them; None takes those of the first, and stage 1.
        batch_size: grids at once.
        progress: called after every step.

    Returns:
        Latents of the cells (V, N, c, s, s) on the CPU, and the number of token-passes spent.
    """
    model, facts = bundle.stage1, bundle.facts1
    parts = [(model, facts), bundle.filler(slices) if filling else (model, facts)]
    networks = [(of, told, on_grids(of, told.layout, told.k)) for of, told in parts]
    channels, latent_size = bundle.codec.latent_channels, facts.grid_size // bundle.codec.downsample
    side = latent_size // facts.k
    made_slices = max(slices, *(int(window.target.max()) + 1 for windows in plan for window in windows))
    cells = torch.zeros(len(seeds), made_slices, channels, side, side)
    device = next(model.parameters()).device
    first: Mapping[str, Any] = {"steps": steps, "sampler": sampler, "spacing": spacing, "stop": stop}
    ways: list[Mapping[str, Any]] = [first] + [filling or first] * (len(plan) - 1)
    total = sum(
        way["steps"] * -(-len(windows) * len(seeds) // batch_size) for way, windows in zip(ways, plan, strict=True)
    )
    done = spent = 0

    def tick(step: int, of: int) -> None:
        progress("stage 1", done + step, total)

    for number, (way, windows) in enumerate(zip(ways, plan, strict=True)):
        asked, told, network = networks[min(number, 1)]
        before = cells.clone()  # windows of a pass do not see each other, or batches would matter
        jobs = [(volume, i) for volume in range(len(seeds)) for i in range(len(windows))]
        for part in batches(len(jobs), batch_size):
            owners, batch = [v for v, _ in jobs[part]], [windows[i] for _, i in jobs[part]]
            streams = [generator_for(seeds[v], COARSE, number, i) for v, i in jobs[part]]
            shape = (channels, latent_size, latent_size)
            noise = torch.stack([torch.randn(shape, generator=stream) for stream in streams])
            position = torch.from_numpy(np.stack([window.position for window in batch]))
            z_index = z_of(position, slices, facts.slices)
            grids = sample(
                network,
                noise.to(device),
                generator=streams,
                known=_known(bundle, told, batch, [before[v] for v in owners]),
                z_index=z_index.to(device) if asked.absolute_z else None,
                prediction=told.prediction,
                progress=tick,
                **way,
            ).cpu()
            for v, window, made in zip(owners, batch, from_grid(grids, facts.k).split(facts.k**2), strict=True):
                new = (window.target != HELPER) & ~window.known
                target, fresh = torch.from_numpy(window.target[new]), made[torch.from_numpy(new)]
                if window.share is not None:
                    share = torch.from_numpy(window.share[new]).to(fresh)[:, None, None, None]
                    fresh = before[v, target].lerp(fresh, share)
                cells[v, target] = fresh
            done += way["steps"]
            spent += way["steps"] * len(batch) * tokens(model)
    return cells[:, :slices], spent


def _known(bundle: Bundle, facts: StageFacts, windows: list[PlannedGrid], cells: list[Tensor]) -> Known | None:
    """Return the cells that earlier passes made, for each window those of its volume; None where there are none."""
    mask = torch.from_numpy(np.stack([window.known for window in windows]))
    if not mask.any():
        return None
    k, side = bundle.facts1.k, bundle.facts1.grid_size // bundle.codec.downsample
    targets = [torch.from_numpy(np.maximum(window.target, 0)) for window in windows]
    values = torch.cat([of[target] for of, target in zip(cells, targets, strict=True)])
    return Known(cells_mask(mask, k, side), to_grid(values, k), facts.conditioning, k)


def coarse_slices(bundle: Bundle, cells: Tensor, batch_size: int) -> Iterator[tuple[int, Tensor]]:
    """Decode the cells of volumes as they are needed, and hand out full batches across the volumes' borders.

    Args:
        bundle: the model.
        cells: (V, N, c, s, s).
        batch_size: slices to hand out, and to decode, at once.

    Yields:
        The number of the first slice, counted through all volumes, and coarse slices (B, C, s, s) in [-1, 1]
        on the CPU, B being ``batch_size`` but for the last.
    """
    group = bundle.facts1.k**2
    chunk = group * -(-batch_size // group)  # whole grids, which do not depend on the batch size
    first, waiting = 0, torch.empty(0)
    for volume in cells:
        for part in batches(len(volume), chunk):
            decoded = decode_cells(bundle, volume[part], batch_size)
            waiting = torch.cat([waiting, decoded]) if len(waiting) else decoded
            while len(waiting) >= batch_size:
                yield first, waiting[:batch_size]
                first, waiting = first + batch_size, waiting[batch_size:]
    if len(waiting):
        yield first, waiting


def decode_cells(bundle: Bundle, cells: Tensor, batch_size: int) -> Tensor:
    """Decode the cells (N, c, s, s) of a volume to coarse slices (N, 1, s, s) in [-1, 1], on the CPU.

    Where the model's grids were encoded whole, cells are decoded in grids too, the last one filled up.

    Args:
        bundle: the model.
        cells: all of them, so that grids do not depend on the batch size.
        batch_size: cells, or grids, at once.
    """
    codec, k = bundle.codec, bundle.facts1.k
    images = cells
    if bundle.facts1.cell_encoding == "grid":
        missing = -len(cells) % (k * k)
        images = to_grid(torch.cat([cells, cells[-1:].expand(missing, -1, -1, -1)]), k)
    decoded = [codec.decode(images[part].to(codec.device)).cpu() for part in batches(len(images), batch_size)]
    if bundle.facts1.cell_encoding == "grid":
        decoded = [from_grid(part, k) for part in decoded]
    return torch.cat(decoded)[: len(cells)]


def encode_cells(bundle: Bundle, coarse: Tensor) -> Tensor:
    """Encode coarse slices (n, C, s, s), n a multiple of K², to cells (n, c, s, s), on the CPU."""
    device, k = bundle.codec.device, bundle.facts1.k
    if bundle.facts1.cell_encoding == "cell":
        return bundle.codec.encode(coarse.to(device)).cpu()
    return from_grid(bundle.codec.encode(to_grid(coarse, k).to(device)).cpu(), k)


def refine(
    bundle: Bundle,
    coarse: Tensor,
    *,
    seed: int | Sequence[int],
    steps: int,
    z_mm: Sequence[float] | None = None,
    noise_mm: float = math.inf,
    start: int | None = None,
    origin: Tensor | None = None,
    keep: float = 0.0,
    added: bool = True,
    sampler: str = "dpm++",
    spacing: Spacing | None = None,
    watch: Watch | None = None,
    onto_cpu: bool = True,
) -> tuple[Tensor, int]:
    """Refine coarse slices to full ones (stage 2).

    Args:
        bundle: the model.
        coarse: (B, 1, s, s) in [-1, 1].
        seed: of the noise, or one for every slice.
        steps: network calls per slice.
        z_mm: places of the slices, where noise is to change along z.
        noise_mm: how far along z slices have noise in common, see :func:`ctgrid.stages.slice_noise.slice_noise`;
            infinity gives all slices of a seed the same.
        start: timestep that the reverse process starts from; None is pure noise.
        origin: latents (B, c, S/8, S/8) that are diffused to ``start``; None takes the condition itself.
        keep: share of ``origin`` in the result.
        added: add noise to what is diffused to ``start``; else its own noise stands for that of the level.
        sampler: see :func:`ctgrid.stages.diffusion.sample`.
        spacing: likewise.
        watch: counts the seconds of ``encode``, ``stage 2`` and ``decode``.
        onto_cpu: bring the slices to the CPU; else they stay where the codec is.

    Returns:
        (B, 1, S, S) in [-1, 1], and the number of token-passes spent.
    """
    model, facts = bundle.stage2, bundle.facts2
    device, timed = next(model.parameters()).device, watch if watch is not None else _untimed
    seeds = [seed] * len(coarse) if isinstance(seed, int) else list(seed)
    with timed("encode"):
        condition = condition_of(bundle, coarse.to(device))
    with timed("stage 2"):
        shape = tuple(condition.shape[1:])
        places = [0.0] * len(seeds) if z_mm is None else z_mm
        noise = slice_noise(shape, REFINE, seeds, places, math.inf if z_mm is None else noise_mm).to(device)
        if start is not None:
            level = torch.full((len(condition),), start, device=device)
            clean = condition if origin is None else origin.to(device)
            noise = LINEAR.q_sample(clean, level, noise if added else torch.zeros_like(noise))
        latent = sample(
            model,
            noise,
            steps=steps,
            sampler=sampler,
            spacing=spacing,
            generator=[generator_for(s, REFINE, 1) for s in seeds],
            condition=condition,
            prediction=facts.prediction,
            start=start,
        )
        if origin is not None:
            latent = torch.lerp(latent, origin.to(latent), keep)
    with timed("decode"):
        images = bundle.codec.decode(latent)
    return images.cpu() if onto_cpu else images, steps * len(condition) * tokens(model)


def condition_of(bundle: Bundle, coarse: Tensor) -> Tensor:
    """Return stage 2's condition, the latents of enlarged coarse slices.

    Args:
        bundle: the model; a codec that has an encoder for coarse slices uses that.
        coarse: (B, 1, s, s) in [-1, 1], where the codec is.

    Returns:
        (B, c, S/8, S/8).
    """
    codec, factor = bundle.codec, bundle.facts2.factor
    return codec.encode_coarse(coarse) if codec.reads_coarse(factor) else codec.encode(enlarge(coarse, factor))


def _untimed(phase: str) -> AbstractContextManager[None]:
    """Count nothing."""
    return nullcontext()


def batches(count: int, size: int) -> Iterator[slice]:
    """Yield consecutive slices of at most ``size`` that cover ``range(count)``."""
    for first in range(0, count, size):
        yield slice(first, min(first + size, count))
