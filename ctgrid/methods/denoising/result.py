"""What every denoising method takes and gives back, whether network or filter."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.methods.denoising.settings import Strength
from ctgrid.scan.noise import estimate_noise
from ctgrid.scan.volume import Volume

MOST_HU = 5000.0
"""More noise than that is a slip of the pen: values run from -1000 to 3000."""

LEAST_HU = 3.0
"""Noise below this is left alone by methods with networks: whole HU and a scanner's own filters are of that size."""


class DenoisingResult(Protocol):
    """A denoised volume and how it came about; :class:`DenoiseResult` is one."""

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
    """The plain form of :class:`DenoisingResult`, whose words it shares.

    ``noise_per_slice_hu`` are estimates of the axial slices, (n,) from the feet, where the method went by them.
    """

    volume: Volume
    phases: dict[str, float]
    noise_hu: float
    settings: dict[str, Any] = field(default_factory=dict)
    dit_token_passes: int = 0
    noise_per_slice_hu: np.ndarray | None = None


def untouched(
    volume: Volume,
    noise_hu: float,
    settings: dict[str, Any],
    phases: dict[str, float] | None = None,
    least_hu: float = LEAST_HU,
) -> DenoiseResult:
    """Return a scan with too little noise as it is; the settings then hold ``untouched``, and ``removes_from_hu``.

    Args:
        volume: the scan, which is copied.
        noise_hu: its noise.
        settings: that the method would have gone by.
        phases: seconds so far.
        least_hu: strength from which on the method removes something.
    """
    same = replace(volume, hu=volume.hu.copy())
    return DenoiseResult(same, phases or {}, noise_hu, {**settings, "untouched": True, "removes_from_hu": least_hu})


def noise_of(volume: Volume, strength: Strength) -> float:
    """Return the noise in HU that a strength stands for, estimated where it is "auto".

    Raises:
        CtgridError: where ``strength`` is neither "auto" nor a number of HU from 0 to :data:`MOST_HU`.
    """
    if strength == "auto":
        return estimate_noise(volume)
    if not isinstance(strength, int | float) or not 0 <= strength <= MOST_HU:
        raise CtgridError(f"strength must be 'auto' or a noise level in HU, 0 to {MOST_HU:g}, got {strength!r}")
    return float(strength)
