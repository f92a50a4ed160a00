"""Scans that examples of noise are drawn over, with the noise they have themselves."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ctgrid.data.noise_spectra import COUNTED_AT, in_rings
from ctgrid.data.pairs import scan_of
from ctgrid.data.quiet import quieter
from ctgrid.data.volumes import VolumeSlices
from ctgrid.scan.noise import estimate_noise
from ctgrid.scan.own_noise import measure_spectrum

MOST_LEFT = 0.7
"""Share of a scan's noise that its quieter version has at most. Measured 0.34 to 0.57; where large pixels show little
but edges, the estimate of what is left is far too high."""


@dataclass(frozen=True)
class MeasuredScan:
    """A scan with its own noise.

    Attributes:
        volume: its slices.
        own_hu: standard deviation of its noise in soft tissue, in HU.
        own_power: of its noise, by spatial frequency in rings of sum 1, (64,), see :mod:`ctgrid.data.noise_spectra`.
            None where nobody asked for it, as it takes a second to measure.
    """

    volume: VolumeSlices
    own_hu: float
    own_power: Tensor | None


def measured_scan(volume: VolumeSlices, most_hu: float = float("inf"), *, spectrum: bool = True) -> MeasuredScan:
    """Return a scan with its noise as measured, of ``most_hu`` at most, and its spectrum where asked for."""
    own_hu = min(estimate_noise(scan_of(volume)), most_hu)
    shape = (COUNTED_AT, COUNTED_AT)
    return MeasuredScan(volume, own_hu, in_rings(measure_spectrum(volume.hu.numpy(), shape)) if spectrum else None)


def quieter_scan(scan: MeasuredScan) -> MeasuredScan:
    """Return the quieter version of a scan, with as much told of the noise that it has left."""
    return measured_scan(quieter(scan.volume), MOST_LEFT * scan.own_hu, spectrum=scan.own_power is not None)
