"""Noisy scans whose clean version is known: what a denoiser is trained on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ctgrid.base.draws import generator_for, integer, normal, uniform
from ctgrid.base.progress import Progress, silent
from ctgrid.data.volumes import VolumeSlices
from ctgrid.scan.noise import estimate_noise
from ctgrid.scan.volume import Volume
from ctgrid.scan.windows import FULL_WINDOW_HU

DOSES = (0.04, 0.5)
PAIRS_VERSION = 3
"""Of what this file makes: pairs that another version made are made anew."""

DEEPEST = 48
"""Slices of a version: enough for three grids, few enough that versions stay many."""


Diffuse = Callable[[Volume, float, int, tuple[int, int]], Volume]
"""Called with noisy slices, their noise in HU, a seed, and the number of the first slice and of all of the scan."""


@dataclass(frozen=True)
class NoisyPair:
    """Slices with noise, what a model's diffusion makes of them, and what lies below the noise.

    Attributes:
        name: of the volume.
        clean: (n, S, S) int16 HU.
        noisy: likewise.
        prior: likewise, the diffusion result.
        noise_hu: standard deviation of the noise as a denoiser is told it.
    """

    name: str
    clean: Tensor
    noisy: Tensor
    prior: Tensor
    noise_hu: float


def make_pairs(
    volumes: list[VolumeSlices],
    diffuse: Diffuse,
    *,
    versions: int,
    levels_hu: tuple[float, float],
    low_dose_share: float,
    seed: int,
    progress: Progress = silent,
) -> list[NoisyPair]:
    """Make noisy versions of volumes.

    The level of white noise is drawn log-uniformly; a share of the versions gets the noise of a lower dose instead,
    simulated in projections. Half of the white ones are clipped to [-1000, 1000] HU after the noise was added, as
    evaluations do, the others nowhere, as scanners leave them.

    Args:
        volumes: the clean scans.
        diffuse: makes the diffusion result of a noisy part of a scan.
        versions: of each volume.
        levels_hu: range of the noise.
        low_dose_share: share of the versions with simulated doses.
        seed: of everything drawn.
        progress: called after each version.
    """
    pairs = []
    for number, volume in enumerate(volumes):
        for version in range(versions):
            generator = generator_for(seed, number, version + 1)
            depth = min(DEEPEST, len(volume.hu))
            first = integer(0, len(volume.hu) - depth + 1, generator)
            clean = volume.hu[first : first + depth]
            scan = _scan(clean.numpy(), volume.spacing_mm)
            noisy, level = _with_noise(scan, generator, levels_hu, low_dose_share)
            prior = diffuse(noisy, level, seed + version, (first, len(volume.hu)))
            pairs.append(NoisyPair(volume.name, clean, _tensor(noisy), _tensor(prior), level))
            progress("making noisy versions", number * versions + version + 1, len(volumes) * versions)
    return pairs


def _with_noise(
    scan: Volume, generator: torch.Generator, levels_hu: tuple[float, float], low_dose_share: float
) -> tuple[Volume, float]:
    """Return the noisy scan and the level that a denoiser would be told."""
    if uniform(generator) < low_dose_share:
        from ctgrid.data.simulate import low_dose

        low, high = map(math.log, DOSES)
        dose = math.exp(low + (high - low) * uniform(generator))
        noisy = low_dose(scan, dose, seed=integer(0, 2**31, generator))
        return noisy, max(1.0, estimate_noise(noisy))
    noisy_hu, level = with_white_noise(torch.from_numpy(scan.hu.astype(np.float32)), generator, levels_hu)
    return _scan(noisy_hu.to(torch.int16).numpy(), scan.spacing_mm), level


def with_white_noise(hu: Tensor, generator: torch.Generator, levels_hu: tuple[float, float]) -> tuple[Tensor, float]:
    """Return slices with white noise, in whole HU, half the time clipped to [-1000, 1000], and the noise's level.

    Args:
        hu: (n, H, W) float32.
        generator: what is drawn comes from it.
        levels_hu: range of the level, drawn log-uniformly.
    """
    low, high = map(math.log, levels_hu)
    level = math.exp(low + (high - low) * uniform(generator))
    clipped = uniform(generator) < 0.5
    noisy = hu + level * normal(tuple(hu.shape), generator)
    return (noisy.clamp_(*FULL_WINDOW_HU) if clipped else noisy).round(), level


def scan_of(volume: VolumeSlices) -> Volume:
    """Return slices as a scan."""
    return _scan(volume.hu.numpy(), volume.spacing_mm)


def _scan(hu: np.ndarray, spacing_mm: tuple[float, float, float]) -> Volume:
    z, y, x = spacing_mm
    return Volume(hu, np.diag([-x, -y, z, 1.0]), {"source": "training slices"})


def _tensor(volume: Volume) -> Tensor:
    return torch.from_numpy(np.rint(volume.hu).astype(np.int16))
