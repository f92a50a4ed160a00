"""How a scan goes through both diffusion stages: one preset for the default method and for training its detail step.

A detail network is only as good as the diffusion results it was trained with resemble those it is given. So both
take :data:`DIFFUSION`, and training keeps what it made only as long as :func:`diffusion_identity` stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ctgrid.base.errors import CtgridError
from ctgrid.methods.denoising.starts import Start, check_start, start_timestep
from ctgrid.scan.protocols.resample import SCALE_HU
from ctgrid.stages.diffusion.schedule import LINEAR

COARSE_ADDED, REFINE_ADDED = 0.3, 0.5
"""Noise level that start ``noised`` adds to latents, as a multiple of the scan's noise over 1000 HU, in stages 1 and 2.

Stage 1 works on slices shrunk 4x, which averages most of the noise away. Tuned on the validation volume.
"""

STAGE2_ERROR = 0.3
"""Error of stage 2's estimate of a latent, tuned on the validation volume; see :func:`kept_share`."""


def check_counts(**counts: int) -> None:
    """Refuse counts below 1.

    Raises:
        CtgridError: with the name.
    """
    for name, count in counts.items():
        if count < 1:
            raise CtgridError(f"{name} must be at least 1, got {count}")


@dataclass(frozen=True)
class Diffusion:
    """How a scan goes through both stages; docs/denoising.md has the figures that chose the defaults.

    Attributes:
        steps: stage 1 network calls that a full reverse process would have; the part below the start is run, one
            call at least. One call is the mean of all that may lie below the noise.
        refine_steps: likewise for stage 2.
        phases: of overlapping grids, averaged in latent space; 1 is grids side by side.
        refine: run stage 2; else coarse slices are enlarged.
        start: what stage 1 starts from: the scan's latents as they are, at the timestep that their own noise is that
            of (``matched``), or with noise added (``noised``).
        refine_start: likewise of stage 2.

    Raises:
        CtgridError: where a number is below 1, or a start is neither.
    """

    steps: int = 20
    refine_steps: int = 4
    phases: int = 1
    refine: bool = True
    start: Start = "matched"
    refine_start: Start = "matched"

    def __post_init__(self) -> None:
        """Check all but the phases, whose upper bound the model knows."""
        check_counts(steps=self.steps, refine_steps=self.refine_steps)
        check_start("start", self.start)
        check_start("refine_start", self.refine_start)

    def timesteps(self, noise_hu: float, latent_noise: Sequence[float]) -> list[int]:
        """Return where the way back starts in both stages.

        Args:
            noise_hu: standard deviation of the scan's noise.
            latent_noise: what it is in the latents of coarse and of full slices, in latent units.
        """
        added = [factor * noise_hu / SCALE_HU for factor in (COARSE_ADDED, REFINE_ADDED)]
        ways = (self.start, self.refine_start)
        return [
            start_timestep(own if way == "matched" else more)
            for way, own, more in zip(ways, latent_noise, added, strict=True)
        ]

    def calls(self, timesteps: Sequence[int]) -> list[int]:
        """Return the network calls of both stages below their starts."""
        return [LINEAR.calls(n, t) for n, t in zip((self.steps, self.refine_steps), timesteps, strict=True)]

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as keywords."""
        return asdict(self)


DIFFUSION = Diffusion(phases=2)
"""Of method ``grid-detail``: every slice lies in the outer half of one grid and in the inner half of another."""


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
