"""The coarse half of denoising by diffusion: noise grids a little more, then go back with stage 1 (Algorithm 3)."""

from __future__ import annotations

import torch
from torch import Tensor

from ctgrid.diffusion.sampling import sample
from ctgrid.diffusion.schedule import Schedule
from ctgrid.draws import generator_for
from ctgrid.errors import CtgridError
from ctgrid.grid import downsample, from_grid, to_grid
from ctgrid.models.bundle import Bundle
from ctgrid.pipelines.stages import COARSE, batches, encode_cells, tokens, z_of
from ctgrid.progress import Progress, silent

LOWEST, HIGHEST = 20, 700
"""Timesteps between which the start is kept."""


def start_timestep(noise_to_signal: float) -> int:
    """Return the timestep whose sqrt((1 - alpha_bar) / alpha_bar) comes nearest to a noise level."""
    levels = Schedule.linear().alphas_cumprod
    ratio = ((1 - levels) / levels).sqrt()
    return int((ratio - noise_to_signal).abs().argmin().clamp(LOWEST, HIGHEST))


def grid_rows(count: int, cells: int, phases: int = 1) -> Tensor:
    """Return the slices of grids (n, cells) that cover a volume ``phases`` times, each phase shifted against the last.

    The last grid of a phase moves back to end with the last slice; grids that fall together count once. Volumes
    shorter than a grid repeat their slices, mirrored at the ends.

    Args:
        count: slices of the volume.
        cells: of a grid.
        phases: 1 is grids side by side; with 2 every next grid begins in the middle of one.

    Raises:
        CtgridError: where there are not 1 to ``cells`` phases.
    """
    if not 1 <= phases <= cells:
        raise CtgridError(f"phases must be 1 to {cells}, the cells of a grid, got {phases}")
    if count < cells:
        period = torch.cat([torch.arange(count), torch.arange(count).flip(0)])
        return period.repeat(-(-cells // len(period)))[:cells][None]
    starts = [torch.arange(phase * cells // phases, count, cells) for phase in range(phases)]
    first = torch.cat(starts).clamp(max=count - cells).unique()
    return first[:, None] + torch.arange(cells)


def denoise_cells(
    bundle: Bundle,
    images: Tensor,
    start: int,
    steps: int,
    *,
    seed: int,
    batch_size: int,
    phases: int = 1,
    slices: int | None = None,
    progress: Progress = silent,
) -> tuple[Tensor, int]:
    """Run the coarse half of Algorithm 3; a slice that lies in several grids becomes the mean of its latents.

    Args:
        bundle: the model.
        images: (N, 1, S, S) slices in [-1, 1].
        start: timestep t0 of the forward process.
        steps: network calls from there.
        seed: of the added noise.
        batch_size: grids at once.
        phases: see :func:`grid_rows`.
        slices: of the volume, which absolute z counts in; None is N.
        progress: called after every batch.

    Returns:
        Denoised cells (N, c, s, s) and the number of token-passes spent.
    """
    model, facts = bundle.stage1, bundle.facts1
    device, cells = bundle.codec.device, facts.k**2
    schedule = Schedule.linear()
    rows = grid_rows(len(images), cells, phases)
    side = model.latent_size // facts.k
    total = torch.zeros(len(images), model.in_channels, side, side)
    times = torch.bincount(rows.flatten(), minlength=len(images))
    spent = 0
    for part in batches(len(rows), batch_size):
        index = rows[part].flatten()
        small = downsample(images[index], facts.k).clamp(-1, 1)
        clean = to_grid(encode_cells(bundle, small), facts.k)
        streams = [generator_for(seed, COARSE, part.start + i) for i in range(len(clean))]
        noise = torch.stack([torch.randn(clean.shape[1:], generator=stream) for stream in streams])
        noisy = schedule.q_sample(clean, torch.full((len(clean),), start), noise)
        latent = sample(
            model,
            noisy.to(device),
            steps=steps,
            sampler="dpm++",
            generator=streams,
            z_index=z_of(rows[part], slices or len(images), facts.slices).to(device) if model.absolute_z else None,
            prediction=facts.prediction,
            start=start,
        ).cpu()
        total.index_add_(0, index, from_grid(latent, facts.k))
        spent += steps * len(clean) * tokens(model)
        progress("stage 1", part.stop, len(rows))
    return total / times[:, None, None, None], spent
