"""The two stages as functions of tensors: coarse cells along z, and full slices from coarse ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ctgrid.data.degrade import enlarge
from ctgrid.diffusion.known import Known, cells_mask
from ctgrid.diffusion.sampling import sample
from ctgrid.diffusion.schedule import Schedule
from ctgrid.draws import generator_for
from ctgrid.grid import from_grid, to_grid
from ctgrid.models.bundle import Bundle
from ctgrid.models.dit import DiT
from ctgrid.pipelines.schedules import HELPER, Plan, Window
from ctgrid.progress import Progress, silent

COARSE, REFINE = 1, 2
"""First number of a stage's noise streams, behind the seed."""


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
    plan: Plan,
    slices: int,
    *,
    seed: int,
    steps: int,
    fill_steps: int | None = None,
    sampler: str = "dpm++",
    batch_size: int = 8,
    progress: Progress = silent,
) -> tuple[Tensor, int]:
    """Sample the coarse sequence (stage 1).

    Args:
        bundle: the model.
        plan: grids to sample, pass by pass.
        slices: N, slices of the volume.
        seed: of the noise; every grid has its own stream, so the result does not depend on the batch size.
        steps: network calls per grid.
        fill_steps: network calls per grid of the passes after the first; None takes ``steps``.
        sampler: see :func:`ctgrid.diffusion.sample`.
        batch_size: grids at once.
        progress: called after every step.

    Returns:
        Latents of the cells (N, c, s, s) on the CPU, and the number of token-passes spent.
    """
    model, facts = bundle.stage1, bundle.facts1
    side = model.latent_size // facts.k
    cells = torch.zeros(slices, model.in_channels, side, side)
    device = next(model.parameters()).device
    calls = [steps] + [steps if fill_steps is None else fill_steps] * (len(plan) - 1)
    total = sum(n * -(-len(windows) // batch_size) for n, windows in zip(calls, plan, strict=True))
    done = spent = 0

    def tick(step: int, of: int) -> None:
        progress("stage 1", done + step, total)

    for number, (n, windows) in enumerate(zip(calls, plan, strict=True)):
        before = cells.clone()  # windows of a pass do not see each other, or batches would matter
        for first in range(0, len(windows), batch_size):
            batch = windows[first : first + batch_size]
            streams = [generator_for(seed, COARSE, number, first + i) for i in range(len(batch))]
            shape = (model.in_channels, model.latent_size, model.latent_size)
            noise = torch.stack([torch.randn(shape, generator=stream) for stream in streams])
            position = torch.from_numpy(np.stack([window.position for window in batch]))
            z_index = z_of(position, slices, facts.slices)
            grids = sample(
                model,
                noise.to(device),
                steps=n,
                sampler=sampler,
                generator=streams,
                known=_known(bundle, batch, before),
                z_index=z_index.to(device) if model.absolute_z else None,
                prediction=facts.prediction,
                progress=tick,
            ).cpu()
            for window, made in zip(batch, from_grid(grids, facts.k).split(facts.k**2), strict=True):
                new = (window.target != HELPER) & ~window.known
                cells[torch.from_numpy(window.target[new])] = made[torch.from_numpy(new)]
            done += n
            spent += n * len(batch) * tokens(model)
    return cells, spent


def _known(bundle: Bundle, windows: list[Window], cells: Tensor) -> Known | None:
    """Return the cells that earlier passes made, None where there are none."""
    mask = torch.from_numpy(np.stack([window.known for window in windows]))
    if not mask.any():
        return None
    k, side = bundle.facts1.k, bundle.stage1.latent_size
    targets = torch.from_numpy(np.concatenate([np.maximum(window.target, 0) for window in windows]))
    return Known(cells_mask(mask, k, side), to_grid(cells[targets], k), bundle.facts1.conditioning, k)


def decode_cells(bundle: Bundle, cells: Tensor, batch_size: int) -> Tensor:
    """Decode the cells (N, c, s, s) of a volume to coarse slices (N, 1, S/K, S/K) in [-1, 1], on the CPU.

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
    """Encode coarse slices (n, 1, S/K, S/K), n a multiple of K², to cells (n, c, s, s), on the CPU."""
    device, k = bundle.codec.device, bundle.facts1.k
    if bundle.facts1.cell_encoding == "cell":
        return bundle.codec.encode(coarse.to(device)).cpu()
    return from_grid(bundle.codec.encode(to_grid(coarse, k).to(device)).cpu(), k)


def refine(
    bundle: Bundle,
    coarse: Tensor,
    *,
    seed: int,
    steps: int,
    start: float = 1.0,
    origin: Tensor | None = None,
    keep: float = 0.0,
    sampler: str = "dpm++",
) -> tuple[Tensor, int]:
    """Refine coarse slices to full ones (stage 2). All slices share one noise, so that none flickers by it.

    Args:
        bundle: the model.
        coarse: (B, 1, S/K, S/K) in [-1, 1].
        seed: of the shared noise.
        steps: network calls per slice.
        start: level the reverse process starts from, as a share of the schedule; 1 is pure noise.
        origin: latents (B, c, S/8, S/8) that are diffused to ``start``; None takes the condition itself.
        keep: share of ``origin`` in the result.
        sampler: see :func:`ctgrid.diffusion.sample`.

    Returns:
        (B, 1, S, S) in [-1, 1] on the CPU, and the number of token-passes spent.
    """
    model, facts = bundle.stage2, bundle.facts2
    device = next(model.parameters()).device
    condition = bundle.codec.encode(enlarge(coarse, facts.k).to(device))
    stream = generator_for(seed, REFINE)
    noise = torch.randn((1, *condition.shape[1:]), generator=stream).to(device).expand_as(condition)
    if start < 1.0:
        schedule = Schedule.linear()
        level = torch.full((len(condition),), schedule.timestep(start), device=device)
        clean = condition if origin is None else origin.to(device)
        noise = schedule.q_sample(clean, level, noise)
    latent = sample(
        model,
        noise,
        steps=steps,
        sampler=sampler,
        generator=[generator_for(seed, REFINE, 1) for _ in range(len(condition))],
        condition=condition,
        prediction=facts.prediction,
        start=start if start < 1.0 else None,
    )
    if origin is not None:
        latent = torch.lerp(latent, origin.to(latent), keep)
    return bundle.codec.decode(latent).cpu(), steps * len(condition) * tokens(model)


def batches(count: int, size: int) -> Iterator[slice]:
    """Yield consecutive slices of at most ``size`` that cover ``range(count)``."""
    for first in range(0, count, size):
        yield slice(first, min(first + size, count))
