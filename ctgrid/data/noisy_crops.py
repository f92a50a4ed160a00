"""Crops of scans with noise drawn on the spot: white, or as scanners make it, at a level that the scan's own allows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ctgrid.base.draws import integer, normal, uniform
from ctgrid.data.measured_scans import MeasuredScan
from ctgrid.data.noise_fields import GROUP, NoiseField, draw_grain, grained, grained_power
from ctgrid.data.noise_spectra import BINS, share_of, white
from ctgrid.data.pairs import with_white_noise
from ctgrid.scan.noise_map import CELL
from ctgrid.scan.windows import AIR_HU

FARTHEST = (0.1, 3.0)
"""Times its own strength that a field is weakened or strengthened to at most."""

LOWEST_HU = AIR_HU - 24.0
"""What scanners store no value below."""

FLAT_SHARE = 0.3
"""Crops with a scanner's noise of which the map says nothing, as where a user gives one number."""

MAP_ERROR = 0.08
"""Standard deviation of the error of a map, over the noise; smooth."""

EMPTY_BELOW_HU, MOST_EMPTY, TRIES = -900, 0.9, 4
"""Crops are drawn anew this many times where they hold little but air."""


@dataclass(frozen=True)
class NoisyCrop:
    """A crop with noise and without.

    Attributes:
        clean: (c, c) float32 in HU.
        noisy: it with noise, between its neighbours, (2 n + 1, c, c) in whole HU.
        level_hu: standard deviation of the noise in soft tissue, the scan's own included.
        told: what a denoiser would know of it, (c / 8, c / 8) in HU.
        added: share of the noise's variance that was added, by spatial frequency in rings, (64,) from 0 to 1; the rest
            is the scan's own. 1 where the scan's spectrum is not known.
    """

    clean: Tensor
    noisy: Tensor
    level_hu: float
    told: Tensor
    added: Tensor


@dataclass(frozen=True)
class CropSource:
    """Where crops come from.

    Attributes:
        scans: clean ones; what is added is no less than their own noise, else the network would learn to leave it.
        fields: of noise over them.
        side: c, a multiple of 8.
        neighbours: n.
        levels_hu: range of white noise.
        field_levels_hu: range of a scanner's.
        field_share: share of crops with a scanner's noise.
        cutoffs_per_mm: of the kernels of such noise.
        quiet: a quieter version of each scan, see :mod:`ctgrid.data.quiet`.
        quiet_share: share of crops from those: a scan's own noise bounds how little may be added to it, and most
            have more than the doses of scans that are worth cleaning.
    """

    scans: Sequence[MeasuredScan]
    fields: Sequence[NoiseField]
    side: int
    neighbours: int
    levels_hu: tuple[float, float]
    field_levels_hu: tuple[float, float]
    field_share: float
    cutoffs_per_mm: tuple[float, float]
    quiet: Sequence[MeasuredScan] = ()
    quiet_share: float = 0.0

    def draw(self, generator: torch.Generator) -> NoisyCrop:
        """Draw a crop."""
        for _ in range(TRIES):
            crop = self._with_field(generator) if uniform(generator) < self.field_share else self._with_white(generator)
            if (crop.clean < EMPTY_BELOW_HU).float().mean() < MOST_EMPTY:
                break
        return crop

    def _with_white(self, generator: torch.Generator) -> NoisyCrop:
        scan = self._version(integer(0, len(self.scans), generator), generator)
        clean, own = scan.volume.hu, scan.own_hu
        z, box = integer(0, len(clean), generator), self._box(clean, generator)
        around = torch.arange(z - self.neighbours, z + self.neighbours + 1).clamp(0, len(clean) - 1)
        below = clean[around][:, box[0], box[1]].float()
        noisy, level = with_white_noise(below, generator, (max(self.levels_hu[0], own), self.levels_hu[1]))
        told = torch.full((self.side // CELL,) * 2, math.hypot(level, own))
        if uniform(generator) >= FLAT_SHARE:
            told *= _smooth_error(told.shape[0], generator)
        return NoisyCrop(below[self.neighbours], noisy, math.hypot(level, own), told, _added(white(), level, scan))

    def _with_field(self, generator: torch.Generator) -> NoisyCrop:
        field = self.fields[integer(0, len(self.fields), generator)]
        scan = self._version(field.volume, generator)
        volume, own = scan.volume, scan.own_hu
        grain, n = draw_grain(generator, self.cutoffs_per_mm), self.neighbours
        z = integer(n, len(field) - n - len(grain.weights) + 1, generator)  # within the field
        at = self._box(volume.hu, generator)
        box = self._over(field.noise, volume.hu, at)
        noise, factor = grained(field, grain, volume.spacing_mm[1:], range(z - n, z + n + 1), box)
        below = volume.hu[field.first + z - n : field.first + z + n + 1, at[0], at[1]].float()
        usual = float(field.level_hu[z // GROUP])  # of the field as it is
        low, high = self.field_levels_hu
        low = max(low, own, FARTHEST[0] * usual * factor)
        high = max(low, min(high, FARTHEST[1] * usual * factor))
        level = low * (high / low) ** uniform(generator)
        total = math.hypot(level, own)
        noisy = below + noise * (level / (usual * factor))
        noisy = (noisy.clamp_(min=LOWEST_HU) if uniform(generator) < 0.5 else noisy).round_()
        cells = [slice(b.start // CELL, b.start // CELL + self.side // CELL) for b in box]
        told = field.local[z // GROUP, cells[0], cells[1]] * (total / usual)
        if uniform(generator) < FLAT_SHARE:
            told = torch.full_like(told, total)
        else:
            told = told * _smooth_error(told.shape[0], generator)
        power = grained_power(field, grain, volume.spacing_mm[1:])
        return NoisyCrop(below[n], noisy, total, told, _added(power, level, scan))

    def _version(self, number: int, generator: torch.Generator) -> MeasuredScan:
        """Choose a scan as it is or its quieter version."""
        quiet = self.quiet_share and uniform(generator) < self.quiet_share
        return self.quiet[number] if quiet else self.scans[number]

    def _over(self, noise: Tensor, slices: Tensor, box: tuple[slice, slice]) -> tuple[slice, slice]:
        """Return where a crop of slices of any size lies in a field of noise: as far along, at a cell of the maps."""
        starts = [
            CELL * round(part.start * (there - self.side) / max(here - self.side, 1) / CELL)
            for part, here, there in zip(box, slices.shape[1:], noise.shape[1:], strict=True)
        ]
        return self._square(starts)

    def _box(self, slices: Tensor, generator: torch.Generator) -> tuple[slice, slice]:
        """Draw where a crop lies; it starts at a cell of the maps."""
        starts = [CELL * integer(0, (size - self.side) // CELL + 1, generator) for size in slices.shape[1:]]
        return self._square(starts)

    def _square(self, starts: Sequence[int]) -> tuple[slice, slice]:
        """Return a crop's pixels (y, x) by its first ones."""
        return slice(starts[0], starts[0] + self.side), slice(starts[1], starts[1] + self.side)


def _added(power: Tensor, level_hu: float, scan: MeasuredScan) -> Tensor:
    """Return the share of added noise, of a power in rings, in all that a scan then has."""
    return torch.ones(BINS) if scan.own_power is None else share_of(power, level_hu, scan.own_power, scan.own_hu)


def _smooth_error(side: int, generator: torch.Generator) -> Tensor:
    """Return factors about 1 (side, side) that change little from cell to cell."""
    coarse = MAP_ERROR * normal((1, 1, 4, 4), generator)
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")[0, 0].exp()
