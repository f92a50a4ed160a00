"""What every denoising method takes and gives back, whether network or filter."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ctgrid.denoising.noise import estimate_noise
from ctgrid.errors import CtgridError
from ctgrid.progress import Progress, silent
from ctgrid.volume import Volume

Strength = float | Literal["auto"]
"""The noise's standard deviation in HU, or "auto" to estimate it."""


class DenoisingResult(Protocol):
    """A denoised volume and how it came about; :class:`DenoiseResult` and the pipelines' own results fit."""

    @property
    def volume(self) -> Volume:
        """The result on the input's grid."""

    @property
    def phases(self) -> dict[str, float]:
        """Seconds by phase."""

    @property
    def noise_hu(self) -> float:
        """Noise that was assumed, HU."""

    @property
    def dit_token_passes(self) -> int:
        """Tokens times calls of diffusion transformers; 0 without any."""

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that determined the result besides the input."""


class Denoiser(Protocol):
    """A method that is loaded and ready; one serves many volumes."""

    def run(self, volume: Volume, strength: Strength = "auto", *, progress: Progress = silent) -> DenoisingResult:
        """Denoise one volume; further settings are the method's own keywords."""


@dataclass(frozen=True)
class DenoiseResult:
    """The plain form of :class:`DenoisingResult`, whose words it shares."""

    volume: Volume
    phases: dict[str, float]
    noise_hu: float
    settings: dict[str, Any] = field(default_factory=dict)
    dit_token_passes: int = 0


def noise_of(volume: Volume, strength: Strength) -> float:
    """Return the noise in HU that a strength stands for, estimated where it is "auto".

    Raises:
        CtgridError: where ``strength`` is neither "auto" nor a number of HU, 0 or more.
    """
    if strength == "auto":
        return estimate_noise(volume)
    if not isinstance(strength, int | float) or not 0 <= strength < math.inf:
        raise CtgridError(f"strength must be 'auto' or a noise level in HU, 0 or more, got {strength!r}")
    return float(strength)
