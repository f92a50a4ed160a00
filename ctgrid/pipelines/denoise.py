"""Denoising by diffusion: noise a little more, then go back with both stages (the paper's Algorithm 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ctgrid.denoising.noise import estimate_noise
from ctgrid.diffusion.sampling import sample
from ctgrid.diffusion.schedule import Schedule
from ctgrid.draws import generator_for
from ctgrid.errors import CtgridError
from ctgrid.grid import downsample, from_grid, to_grid
from ctgrid.models.bundle import Bundle
from ctgrid.pipelines.base import ModelPipeline, Stopwatch
from ctgrid.pipelines.device import autocast
from ctgrid.pipelines.stages import COARSE, batches, decode_cells, encode_cells, refine, tokens, z_of
from ctgrid.preprocess.canonical import from_canonical, to_canonical
from ctgrid.preprocess.hu import require_ct
from ctgrid.preprocess.resample import SCALE_HU
from ctgrid.progress import Progress, silent
from ctgrid.volume import Volume

COARSE_START, REFINE_START = 0.3, 0.5
"""Noise level of the starting latent, as a multiple of the scan's noise over 1000 HU, of stages 1 and 2.

Stage 1 works on slices shrunk 4x, which averages most of the noise away. Tuned on the validation volume.
"""

LATENT_NOISE = 2.0
"""Noise of a latent over the scan's noise over 1000 HU, measured on the validation volume."""

STAGE2_ERROR = 0.3
"""Error of stage 2's estimate of a latent, tuned on the validation volume; see :func:`kept_share`."""

LOWEST, HIGHEST = 20, 700
"""Timesteps between which the start is kept."""

Strength = float | Literal["auto"]


@dataclass(frozen=True)
class Denoised:
    """A denoised volume and how it came about.

    Attributes:
        volume: on the input's own grid.
        phases: seconds by phase.
        noise_hu: standard deviation of the noise that was assumed, HU.
        dit_token_passes: tokens times network calls, both stages.
        settings: everything that determined the result besides input and model.
    """

    volume: Volume
    phases: dict[str, float]
    noise_hu: float
    dit_token_passes: int
    settings: dict[str, Any]


class DenoisePipeline(ModelPipeline):
    """Denoise volumes with a loaded model."""

    @torch.no_grad()
    def run(
        self,
        volume: Volume,
        strength: Strength = "auto",
        seed: int = 0,
        steps: int = 20,
        refine_steps: int = 8,
        batch_size: int = 8,
        progress: Progress = silent,
    ) -> Denoised:
        """Denoise one volume (Algorithm 3).

        Args:
            volume: the scan, of any orientation, at least two slices.
            strength: the noise's standard deviation in HU, or ``auto`` to estimate it.
            seed: of the noise added before going back.
            steps: stage 1 network calls that a full reverse process would have; the part below the start is run.
            refine_steps: likewise for stage 2.
            batch_size: grids or slices at once.
            progress: called with (phase, done, total).

        Returns:
            The denoised volume on the input's grid: shape, affine and the input's dtype.

        Raises:
            CtgridError: where the volume is no CT, or ``strength`` is negative.
        """
        require_ct(volume)
        watch = Stopwatch()
        with watch("estimate noise"):
            noise_hu = estimate_noise(volume) if strength == "auto" else float(strength)
        if not 0 <= noise_hu < math.inf:
            raise CtgridError(f"strength must be 'auto' or a noise level in HU, 0 or more, got {noise_hu:g}")
        if batch_size < 1 or min(steps, refine_steps) < 1:
            raise CtgridError(
                f"batch_size, steps and refine_steps must be at least 1, got {batch_size}, {steps}, {refine_steps}"
            )
        size = self.bundle.facts1.size
        with watch("preprocess"):
            unit, record = to_canonical(volume, size=size, slices=None)
        images = torch.from_numpy(unit)[:, None]
        starts = [start_timestep(factor * noise_hu / SCALE_HU) for factor in (COARSE_START, REFINE_START)]
        calls = [max(2, round(n * t / 1000)) for n, t in zip((steps, refine_steps), starts, strict=True)]
        keep = kept_share(noise_hu)
        with autocast(self.device, self.dtype), watch("stage 1"):
            cells, passes = denoise_cells(
                self.bundle, images, starts[0], calls[0], seed=seed, batch_size=batch_size, progress=progress
            )
        with autocast(self.device, self.dtype), watch("stage 2"):
            coarse = decode_cells(self.bundle, cells, batch_size)
        for part in batches(len(images), batch_size):
            with autocast(self.device, self.dtype), watch("stage 2"):
                origin = self.bundle.codec.encode(images[part].to(self.device))
                refined, spent = refine(
                    self.bundle,
                    coarse[part],
                    seed=seed,
                    steps=calls[1],
                    start=starts[1] / 999,
                    origin=origin,
                    keep=keep,
                )
            passes += spent
            unit[part] = refined[:, 0].numpy()
            progress("stage 2", part.stop, len(images))
        with watch("postprocess"):
            result = from_canonical(unit, record)
        settings = {
            "method": "grid",
            "strength": strength,
            "noise_hu": round(noise_hu, 2),
            "start_timesteps": starts,
            "network_calls": calls,
            "kept_share": round(keep, 4),
            "seed": seed,
            "batch_size": batch_size,
        }
        return Denoised(result, watch.rounded(), noise_hu, passes, settings)


def kept_share(noise_hu: float) -> float:
    """Return the share of the scan's own latent in the result: e² / (e² + n²), least squares of two estimates.

    n is the latent's noise, e the error of stage 2's estimate of it. Where a scan is cleaner than stage 2 is
    right, the scan wins; the paper's Algorithm 3 keeps nothing.

    Args:
        noise_hu: standard deviation of the scan's noise.
    """
    latent_noise = LATENT_NOISE * noise_hu / SCALE_HU
    return STAGE2_ERROR**2 / (STAGE2_ERROR**2 + latent_noise**2)


def start_timestep(noise_to_signal: float) -> int:
    """Return the timestep whose sqrt((1 - alpha_bar) / alpha_bar) comes nearest to a noise level."""
    levels = Schedule.linear().alphas_cumprod
    ratio = ((1 - levels) / levels).sqrt()
    return int((ratio - noise_to_signal).abs().argmin().clamp(LOWEST, HIGHEST))


def grid_rows(count: int, cells: int) -> Tensor:
    """Return the slices of consecutive grids (n, cells): the last grid moves back to end with the last slice.

    Volumes shorter than a grid repeat their slices, mirrored at the ends.
    """
    if count < cells:
        period = torch.cat([torch.arange(count), torch.arange(count).flip(0)])
        return period.repeat(-(-cells // len(period)))[:cells][None]
    first = torch.arange(0, count, cells).clamp(max=count - cells)
    return first[:, None] + torch.arange(cells)


def denoise_cells(
    bundle: Bundle,
    images: Tensor,
    start: int,
    steps: int,
    *,
    seed: int,
    batch_size: int,
    progress: Progress = silent,
) -> tuple[Tensor, int]:
    """Run the coarse half of Algorithm 3; a slice that lies in several grids becomes their mean.

    Args:
        bundle: the model.
        images: (N, 1, S, S) slices in [-1, 1].
        start: timestep t0 of the forward process.
        steps: network calls from there.
        seed: of the added noise.
        batch_size: grids at once.
        progress: called after every batch.

    Returns:
        Denoised cells (N, c, s, s) and the number of token-passes spent.
    """
    model, facts = bundle.stage1, bundle.facts1
    device, cells = bundle.codec.device, facts.k**2
    schedule = Schedule.linear()
    rows = grid_rows(len(images), cells)
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
            z_index=z_of(rows[part], len(images), facts.slices).to(device) if model.absolute_z else None,
            prediction=facts.prediction,
            start=start,
        ).cpu()
        total.index_add_(0, index, from_grid(latent, facts.k))
        spent += steps * len(clean) * tokens(model)
        progress("stage 1", part.stop, len(rows))
    return total / times[:, None, None, None], spent


def denoise(volume: Volume | str | Path, *, model: str = "embedded", device: str = "auto", **settings: Any) -> Volume:
    """Denoise one volume in a single call; see :meth:`DenoisePipeline.run` for the settings.

    Args:
        volume: a volume or the path of one.
        model: see :meth:`ModelPipeline.load`.
        device: likewise.
        settings: ``strength``, ``seed``, ``steps``, ``refine_steps``, ``batch_size``, ``progress``.
    """
    scan = volume if isinstance(volume, Volume) else Volume.read(volume)
    return DenoisePipeline.load(model=model, device=device).run(scan, **settings).volume
