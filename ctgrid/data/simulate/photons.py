"""From HU to photons and back: attenuation, counts and their noisy logarithms, a batch of slices at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import pad

from ctgrid.base.draws import generator_for, normal
from ctgrid.data.simulate.projector import Scanner
from ctgrid.scan.windows import AIR_HU

SLICES_AT_ONCE = 16
"""Always as many, so that a slice's noise does not depend on its neighbours; fewer are filled up."""

MU_WATER_PER_MM = 0.0193
"""Attenuation of water at 70 keV, the effective energy of a 120 kV beam (NIST XCOM)."""

WATER_OVER_AIR_HU = -AIR_HU
"""HU = 1000 (µ - µ of water) / µ of water, and nothing attenuates less than air."""

REFERENCE_VIEWS, REFERENCE_PITCH_MM = 984, 0.6

LEAST_COUNT = 0.1
"""Photons taken for rays that next to none come through, such as those along metal."""


def attenuation(hu: np.ndarray) -> Tensor:
    """Turn HU (n, y, x) into attenuation per mm, float32 (y, x, b) with b filled up by empty slices."""
    mu = (torch.from_numpy(hu.astype(np.float32)) / WATER_OVER_AIR_HU + 1).clamp_(min=0) * MU_WATER_PER_MM
    return pad(rearrange(mu, "b y x -> y x b"), (0, SLICES_AT_ONCE - len(hu))).contiguous()


def to_hu(mu: np.ndarray) -> np.ndarray:
    """Turn attenuation per mm into HU, any shape: the inverse of :func:`attenuation` for what attenuates at all."""
    return (mu / MU_WATER_PER_MM - 1) * WATER_OVER_AIR_HU


def to_slices(images: Tensor, count: int) -> np.ndarray:
    """Turn images (y, x, b) into slices (n, y, x), ``count`` of them."""
    return np.ascontiguousarray(rearrange(images, "y x b -> b y x")[:count].numpy())


def double_channels(sinogram: Tensor) -> Tensor:
    """Interpolate (views, c, b) linearly to (views, 2c, b), each channel parted in two."""
    before = torch.cat((sinogram[:, :1], sinogram[:, :-1]), 1)
    after = torch.cat((sinogram[:, 1:], sinogram[:, -1:]), 1)
    pairs = torch.stack((0.75 * sinogram + 0.25 * before, 0.75 * sinogram + 0.25 * after), 2)
    return rearrange(pairs, "v c two b -> v (c two) b")


def counts(integrals: Tensor, scanner: Scanner, photons: float, electronic_noise: float) -> tuple[Tensor, float]:
    """Return the photons of every ray at full dose, and its electronic noise in photons.

    Photons are proportional to a ray's share of the detector and of the turn, so that the noise of a slice does
    not depend on how finely it is sampled.

    Args:
        integrals: (views, channels, b) line integrals.
        scanner: their rays.
        photons: incident per ray of the reference scanner: 984 views a turn, rays 0.6 mm apart.
        electronic_noise: its standard deviation there, in photons.
    """
    share = scanner.pitch_mm / REFERENCE_PITCH_MM * REFERENCE_VIEWS / scanner.views
    return torch.exp(-integrals).mul_(photons * share), electronic_noise * share**0.5


def noisy_logs(mean: Tensor, sigma_e: float, seed: int, names: Sequence[int]) -> Tensor:
    """Return −log(measured / mean) of Poisson counts with electronic noise.

    The logarithm of a count k is biased by −(M + σ²)/(2M²); log(k + (1 + σ²/M)/2) is not, to that order, and no
    count is too small for it. Counts that electronic noise made negative are taken as none.

    Args:
        mean: (views, channels, b) counts expected.
        sigma_e: electronic noise, in counts.
        seed: of the noise.
        names: indices of the slices, of which i has the stream (seed, i + 1); what is filled up gets no noise.
    """
    noise = torch.zeros_like(mean)
    for b, name in enumerate(names):
        generator = generator_for(seed, int(name) + 1)
        expected = mean[..., b].clamp(min=LEAST_COUNT)
        measured = torch.poisson(expected, generator=generator)
        if sigma_e > 0:
            measured += sigma_e * normal(tuple(expected.shape), generator)
        shift = 0.5 + 0.5 * sigma_e**2 / expected.clamp(min=max(sigma_e, LEAST_COUNT))
        noise[..., b] = -torch.log((measured.clamp_(min=0) + shift) / expected)
    return noise
