"""How a scan goes through both diffusion stages: where each starts, how often it calls its network, what it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ctgrid.methods.denoising.settings import DIFFUSION, Diffusion
from ctgrid.methods.denoising.starts import start_timestep
from ctgrid.scan.protocols.resample import SCALE_HU
from ctgrid.stages.diffusion.schedule import LINEAR

COARSE_ADDED, REFINE_ADDED = 0.3, 0.5
"""Noise level that start ``noised`` adds to latents, as a multiple of the scan's noise over 1000 HU, in stages 1 and 2.

Stage 1 works on slices shrunk 4x, which averages most of the noise away. Tuned on the validation volume.
"""

STAGE2_ERROR = 0.3
"""Error of stage 2's estimate of a latent, tuned on the validation volume; see :func:`kept_share`."""

NONE_BELOW_HU, ALL_FROM_HU = 200.0, 650.0
"""Noise between which stage 2's share grows, measured on the validation volume; see :func:`prior_share`."""


def prior_share(noise_hu: float) -> float:
    """Return the share of stage 2 in a slice that a detail network denoised, from 0 to 1.

    Under strong noise the network leaves noise, which means of 4 x 4 pixels have no longer. Stage 2 makes a slice of
    those; where its error is that of the network, the mean of both is better than either.

    Args:
        noise_hu: standard deviation of the scan's noise.
    """
    return min(1.0, max(0.0, (noise_hu - NONE_BELOW_HU) / (ALL_FROM_HU - NONE_BELOW_HU)))


def start_timesteps(how: Diffusion, noise_hu: float, latent_noise: Sequence[float]) -> list[int]:
    """Return where the way back starts in both stages.

    Args:
        how: a scan goes through them.
        noise_hu: standard deviation of the scan's noise.
        latent_noise: what it is in the latents of coarse and of full slices, in latent units.
    """
    added = [factor * noise_hu / SCALE_HU for factor in (COARSE_ADDED, REFINE_ADDED)]
    ways = (how.start, how.refine_start)
    return [
        start_timestep(own if way == "matched" else more)
        for way, own, more in zip(ways, latent_noise, added, strict=True)
    ]


def network_calls(how: Diffusion, timesteps: Sequence[int]) -> list[int]:
    """Return the network calls of both stages below their starts."""
    return [LINEAR.calls(n, t) for n, t in zip((how.steps, how.refine_steps), timesteps, strict=True)]


def diffusion_identity() -> dict[str, Any]:
    """Return all that a diffusion result of the preset depends on besides scan, noise, seed and model; JSON-able."""
    return {
        "settings": DIFFUSION.as_dict(),
        "coarse_added": COARSE_ADDED,
        "refine_added": REFINE_ADDED,
        "stage2_error": STAGE2_ERROR,
    }


def kept_share(latent_noise: float) -> float:
    """Return the share of the scan's own latent in the result: e² / (e² + n²), least squares of two estimates.

    n is the latent's noise, e the error of stage 2's estimate of it. Where a scan is cleaner than stage 2 is
    right, the scan wins; the paper's Algorithm 3 keeps nothing.

    Args:
        latent_noise: root mean square of the noise in the scan's latents, in latent units.
    """
    return STAGE2_ERROR**2 / (STAGE2_ERROR**2 + latent_noise**2)
