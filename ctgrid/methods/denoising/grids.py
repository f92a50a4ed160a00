"""The coarse half of denoising by diffusion: noise grids a little more, then go back with stage 1 (Algorithm 3)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ctgrid.base.draws import generator_for
from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.methods.denoising.settings import Start
from ctgrid.methods.denoising.starts import begin
from ctgrid.scan.grid import downsample, from_grid, to_grid
from ctgrid.stages.cells import COARSE, batches, encode_cells, tokens, z_of
from ctgrid.stages.diffusion.sampling import sample
from ctgrid.stages.models.bundle import Bundle


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
    timestep: int,
    steps: int,
    *,
    seed: int,
    batch_size: int,
    phases: int = 1,
    start: Start = "noised",
    sampler: str = "dpm++",
    place: tuple[int, int] | None = None,
    progress: Progress = silent,
) -> tuple[Tensor, int]:
    """Run the coarse half of Algorithm 3; a slice that lies in several grids becomes the mean of its latents.

    Args:
        bundle: the model.
        images: (N, 1, s, s) slices shrunk to cells, in [-1, 1]; see :func:`shrunk`.
        timestep: t0 of the forward process.
        steps: network calls from there.
        seed: of the added noise.
        batch_size: grids at once.
        phases: see :func:`grid_rows`.
        start: whether noise is added.
        sampler: see :func:`ctgrid.stages.diffusion.sample`.
        place: number of the first slice in the volume that absolute z counts in, and the slices of that volume;
            None is (0, N).
        progress: called after every batch.

    Returns:
        Denoised cells (N, c, s/8, s/8) and the number of token-passes spent.

    Raises:
        CtgridError: for a model that cannot denoise, or inputs that do not fit it.
    """
    model, facts = bundle.stage1, bundle.facts1
    if facts.layout != "grid":
        raise CtgridError(f"model {bundle.name} stacks cells as channels, a baseline of synthesis; it denoises nothing")
    first, slices = place or (0, len(images))
    device = bundle.codec.device
    rows = grid_rows(len(images), facts.k**2, phases)
    side = model.latent_size // facts.k
    total = torch.zeros(len(images), model.in_channels, side, side)
    times = torch.bincount(rows.flatten(), minlength=len(images))
    encoded = _encoder(bundle, images)
    spent = 0
    for part in batches(len(rows), batch_size):
        index = rows[part].flatten()
        clean = to_grid(encoded(index), facts.k)
        streams = [generator_for(seed, COARSE, part.start + i) for i in range(len(clean))]
        noise = torch.stack([torch.randn(clean.shape[1:], generator=stream) for stream in streams])
        latent = sample(
            model,
            begin(clean, timestep, start, noise).to(device),
            steps=steps,
            sampler=sampler,
            generator=streams,
            z_index=z_of(rows[part] + first, slices, facts.slices).to(device) if model.absolute_z else None,
            prediction=facts.prediction,
            start=timestep,
        ).cpu()
        total.index_add_(0, index, from_grid(latent, facts.k))
        spent += steps * len(clean) * tokens(model)
        progress("stage 1", part.stop, len(rows))
    return total / times[:, None, None, None], spent


def shrunk(images: Tensor, k: int) -> Tensor:
    """Shrink slices (N, 1, S, S) in [-1, 1] to (N, 1, S/k, S/k), a few at a time."""
    return torch.cat([downsample(images[part], k).clamp(-1, 1) for part in batches(len(images), k * k)])


def _encoder(bundle: Bundle, images: Tensor) -> Callable[[Tensor], Tensor]:
    """Return what gives the cells of chosen slices; those encoded one by one are encoded once for all grids."""
    if bundle.facts1.cell_encoding == "grid":
        return lambda index: encode_cells(bundle, images[index])
    group = bundle.facts1.k**2
    cells = torch.cat([encode_cells(bundle, images[part]) for part in batches(len(images), group)])
    return lambda index: cells[index]
