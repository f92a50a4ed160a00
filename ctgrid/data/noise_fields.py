"""Noise as scanners make it, ready to be drawn from: made in projections once, then of any grain and strength.

The noise of a low dose is made for some blocks of neighbouring slices, with the sharpest kernel. A smoother kernel is a
filter on that (back-projection commutes with it), a thicker slice a mean over neighbours, and another level a factor;
so one field gives endless examples that keep its streaks and its loud and quiet places.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange, reduce
from torch import Tensor

from ctgrid.base.draws import generator_for, integer, uniform
from ctgrid.base.progress import Progress, silent
from ctgrid.data.noise_spectra import BINS, frequencies, power_of
from ctgrid.data.simulate.dose import DoseSettings, line_integrals, noise_over
from ctgrid.data.simulate.photons import SLICES_AT_ONCE
from ctgrid.data.simulate.projector import scanner_for
from ctgrid.data.volumes import VolumeSlices
from ctgrid.scan.noise_map import CELL, carried_over
from ctgrid.scan.noise_patches import TISSUE_HU

FIELDS_VERSION = 1
"""Of what this file makes ahead: fields that another version made are made anew."""

STREAM = 717
"""Number that names fields among the streams of a seed."""

DOSES, PHOTONS, MOST_ELECTRONIC = (0.03, 0.5), (5e4, 1e6), 20.0
"""What is drawn for a field, see :class:`ctgrid.data.simulate.dose.DoseSettings`; the first two log-uniformly."""

DOSES_EACH = 2

SHARPEST_PER_MM = 10.0
"""Cut-off of the fields' kernel: none to speak of below the pixels' own."""

BOOST_SHARE, MOST_BOOST, BOOST_PER_MM = 0.3, 3.0, 0.5
"""Of kernels drawn: for a share of them how much they enhance, by the square of a frequency."""

THICKNESSES = ((1.0,), (1.0,), (1.0, 1.0), (1.0, 2.0, 1.0), (1.0, 1.0, 1.0), (1.0, 2.0, 2.0, 1.0))
"""Weights of the thin slices in one that is kept: neighbours that overlap share some of them."""

GROUP = 4
"""Neighbouring slices that share a map of the noise."""

MARGIN = 16
"""Pixels around a crop that its filter sees."""


@dataclass(frozen=True)
class NoiseField:
    """Noise for some neighbouring slices of a volume.

    Attributes:
        volume: number of the volume.
        first: number of its lowest slice here.
        noise: (d, S, S) float16 in HU, of the sharpest kernel, independent from slice to slice.
        local: standard deviation in HU, (d / 4, S / 8, S / 8) float32, see :func:`carried_over`.
        level_hu: standard deviation in soft tissue, of every group of slices, (d / 4,).
        power: its power by spatial frequency, (64,) from 0 to the pixels' diagonal Nyquist frequency, of sum 1.
    """

    volume: int
    first: int
    noise: Tensor
    local: Tensor
    level_hu: Tensor
    power: Tensor

    def __len__(self) -> int:
        return len(self.noise)


@dataclass(frozen=True)
class Grain:
    """A kernel and a slice thickness.

    Attributes:
        cutoff_per_mm: where the Hann window ends.
        boost: gain over 1 at :data:`BOOST_PER_MM`.
        weights: of the thin slices in a slice.
    """

    cutoff_per_mm: float
    boost: float
    weights: tuple[float, ...]

    def gain(self, frequency: Tensor) -> Tensor:
        """Return the kernel's gain at spatial frequencies per mm, any shape."""
        window = torch.where(
            frequency < self.cutoff_per_mm, 0.5 + 0.5 * torch.cos(math.pi * frequency / self.cutoff_per_mm), 0.0
        )
        return window * (1 + self.boost * (frequency / BOOST_PER_MM) ** 2)


def make_fields(
    volumes: Sequence[VolumeSlices], count: int, seed: int, progress: Progress = silent
) -> list[NoiseField]:
    """Make fields of noise over volumes, spread evenly along each.

    Args:
        volumes: whose anatomy the rays go through.
        count: places along each; every place has fields of :data:`DOSES_EACH` doses.
        seed: of everything drawn.
        progress: called after each.
    """
    fields = []
    for number, volume in enumerate(volumes):
        _, dy, dx = volume.spacing_mm
        scanner = scanner_for((volume.hu.shape[1], volume.hu.shape[2]), (dy, dx), "fan")
        for turn in range(count):
            generator = generator_for(seed, STREAM, number, turn + 1)
            depth = min(SLICES_AT_ONCE, len(volume))
            first = int((turn + uniform(generator)) / count * (len(volume) - depth + 1))
            hu = volume.hu[first : first + depth].numpy()
            integrals = line_integrals(hu, scanner)
            for _ in range(DOSES_EACH):
                noise = noise_over(
                    integrals, scanner, _draw_dose(generator), integer(0, 2**31, generator), range(depth)
                )
                local, level = map(torch.from_numpy, _local(noise, hu, (dy, dx)))
                fields.append(NoiseField(number, first, torch.from_numpy(noise).half(), local, level, power_of(noise)))
            progress("making noise", number * count + turn + 1, count * len(volumes))
    return fields


def empty_field(size: int) -> NoiseField:
    """Return a field of the first volume without noise, of slices size x size; as large as one is."""
    noise, cells = torch.zeros((SLICES_AT_ONCE, size, size), dtype=torch.float16), size // CELL
    groups = SLICES_AT_ONCE // GROUP
    return NoiseField(0, 0, noise, torch.ones(groups, cells, cells), torch.ones(groups), torch.full((BINS,), 1 / BINS))


def draw_grain(generator: torch.Generator, cutoffs_per_mm: tuple[float, float]) -> Grain:
    """Draw a kernel, its cut-off log-uniformly from a range, and a thickness."""
    cutoff = _log_uniform(cutoffs_per_mm, generator)
    boost = MOST_BOOST * uniform(generator) if uniform(generator) < BOOST_SHARE else 0.0
    return Grain(cutoff, boost, THICKNESSES[integer(0, len(THICKNESSES), generator)])


def grained(
    field: NoiseField, grain: Grain, spacing_mm: tuple[float, float], slices: range, box: tuple[slice, slice]
) -> tuple[Tensor, float]:
    """Return noise of a grain, at the field's own strength.

    Args:
        field: where it is taken from.
        grain: see :class:`Grain`.
        spacing_mm: of the pixels (y, x).
        slices: numbers within the field; as many more above as the grain has weights, less one, must be there.
        box: pixels (y, x).

    Returns:
        (len(slices), y, x) float32 in HU, and the factor that the grain has changed the standard deviation by.
    """
    sides = field.noise.shape[1:]
    outer = [slice(max(0, b.start - MARGIN), min(n, b.stop + MARGIN)) for b, n in zip(box, sides, strict=True)]
    reach = len(grain.weights) - 1
    thin = field.noise[slices.start : slices.stop + reach, outer[0], outer[1]].float()
    weights = torch.tensor(grain.weights)
    thick = torch.einsum("zkyx,k->zyx", rearrange(thin.unfold(0, reach + 1, 1), "z y x k -> z k y x"), weights)
    frequency = torch.hypot(
        torch.fft.fftfreq(thick.shape[1], spacing_mm[0])[:, None], torch.fft.rfftfreq(thick.shape[2], spacing_mm[1])
    )
    filtered = torch.fft.irfft2(torch.fft.rfft2(thick) * grain.gain(frequency), s=thick.shape[1:])
    factor = float(grained_power(field, grain, spacing_mm).sum().sqrt() * weights.square().sum().sqrt())
    inner = [slice(b.start - o.start, b.stop - o.start) for b, o in zip(box, outer, strict=True)]
    return filtered[:, inner[0], inner[1]], factor


def grained_power(field: NoiseField, grain: Grain, spacing_mm: tuple[float, float]) -> Tensor:
    """Return the power by spatial frequency of a field's noise of a grain in rings, (64,); its sum was 1."""
    return field.power * grain.gain(frequencies(spacing_mm)).square()


def _draw_dose(generator: torch.Generator) -> DoseSettings:
    """Draw how much noise a field gets."""
    return DoseSettings(
        dose=_log_uniform(DOSES, generator),
        geometry="fan",
        mode="insert",
        photons=_log_uniform(PHOTONS, generator),
        electronic_noise=MOST_ELECTRONIC * uniform(generator),
        cutoff_per_mm=SHARPEST_PER_MM,
        gain=1.0,
        calibrated=False,
    )


def _log_uniform(span: tuple[float, float], generator: torch.Generator) -> float:
    low, high = map(math.log, span)
    return math.exp(low + (high - low) * uniform(generator))


def _local(noise: np.ndarray, hu: np.ndarray, spacing_mm: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the standard deviation of noise (d, y, x) as soft tissue shows it, for every group of slices.

    Returns:
        In every cell, and of all soft tissue; float32.
    """
    soft = (hu > TISSUE_HU[0]) & (hu < TISSUE_HU[1])
    soft |= ~soft.any(axis=(1, 2), keepdims=True)  # nothing but air or lung: all of it
    size = (CELL * spacing_mm[0], CELL * spacing_mm[1])
    maps, levels = [], []
    for first in range(0, len(hu), GROUP):
        part = slice(first, first + GROUP)
        share, square = (
            reduce(values, "z (y a) (x b) -> y x", "mean", a=CELL, b=CELL)
            for values in (soft[part].astype(np.float64), np.square(noise[part], dtype=np.float64) * soft[part])
        )
        maps.append(carried_over(square / np.maximum(share, 1e-9), share, size))
        levels.append(np.sqrt(square.sum() / share.sum()))
    return np.stack(maps).astype(np.float32), np.array(levels, np.float32)
