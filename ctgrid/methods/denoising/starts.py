"""Where the way back starts: at which timestep, and from the scan's latent with noise added or as it is."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ctgrid.base.draws import generator_for, normal
from ctgrid.methods.denoising.settings import Start
from ctgrid.scan.protocols.resample import SCALE_HU
from ctgrid.stages.diffusion.schedule import LINEAR

LOWEST, HIGHEST = 20, 700
"""Timesteps between which the start is kept."""

PROBE = 3
"""First number of the probe's noise stream, behind the seed; the stages have 1 and 2."""


def start_timestep(noise_to_signal: float) -> int:
    """Return the timestep whose σ comes nearest to a noise level, within the bounds."""
    return min(max(LINEAR.timestep_of(noise_to_signal), LOWEST), HIGHEST)


def latent_noise(encode: Callable[[Tensor], Tensor], images: Tensor, noise_hu: float, seed: int) -> float:
    """Measure how noisy latents are: by how much they change where as much noise is added once more.

    Args:
        encode: makes latents (B, c, h, w) of images.
        images: (B, 1, H, W) noisy, in [-1, 1].
        noise_hu: standard deviation of their noise.
        seed: of the noise that is added.

    Returns:
        Root mean square of the change, in latent units.
    """
    noise = normal(tuple(images.shape), generator_for(seed, PROBE))
    again = (images + noise_hu / SCALE_HU * noise).clamp(-1, 1)
    return float((encode(again) - encode(images)).square().mean().sqrt())


def begin(latent: Tensor, timestep: int, start: Start, noise: Tensor) -> Tensor:
    """Return what the way back starts from.

    Args:
        latent: (B, c, h, w) of the scan, with its noise.
        timestep: t0.
        start: see :data:`ctgrid.methods.denoising.settings.Start`; ``matched`` gives sqrt(alpha_bar) times the latent.
        noise: (B, c, h, w) standard normal, which ``matched`` has no use for.
    """
    t = torch.full((len(latent),), timestep, device=latent.device)
    return LINEAR.q_sample(latent, t, torch.zeros_like(noise) if start == "matched" else noise)
