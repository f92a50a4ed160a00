"""Scans with the noise they have: its level and spectrum, and what a quieter version has left."""

from __future__ import annotations

import pytest
import torch

from ctgrid.base.draws import generator_for, normal
from ctgrid.data.measured_scans import MOST_LEFT, measured_scan, quieter_scan
from ctgrid.data.noise_spectra import white
from ctgrid.data.volumes import VolumeSlices


def test_level_and_spectrum_are_measured() -> None:
    """White noise of 25 HU in soft tissue; its quieter version has less, and less of it at high frequencies."""
    noise = (25 * normal((8, 160, 160), generator_for(1)) + 40).round().short()
    scan = measured_scan(VolumeSlices("scan", noise, (2.0, 0.7, 0.7)))
    assert scan.own_hu == pytest.approx(25, rel=0.15) and scan.own_power is not None
    assert float((scan.own_power.cumsum(0) - white().cumsum(0)).abs().max()) < 0.05
    quiet = quieter_scan(scan)
    assert 0.2 * 25 < quiet.own_hu <= MOST_LEFT * scan.own_hu and quiet.own_power is not None
    assert float(quiet.own_power[:32].sum()) > float(scan.own_power[:32].sum()) + 0.05


def test_what_is_left_is_never_more_than_seven_tenths() -> None:
    """Where there is nothing even to measure it in, the scan's own noise says enough."""
    stripes = (torch.arange(64) % 4 * 300).short().expand(8, 64, 64).contiguous()
    assert measured_scan(VolumeSlices("stripes", stripes, (5.0, 1.0, 1.0)), 14.0).own_hu <= 14


def test_no_spectrum_is_measured_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor of the quieter version of a scan that has none."""
    monkeypatch.delattr("ctgrid.data.measured_scans.measure_spectrum")
    scan = measured_scan(
        VolumeSlices("scan", torch.zeros((4, 64, 64), dtype=torch.int16), (2.0, 0.7, 0.7)), spectrum=False
    )
    assert scan.own_power is None and quieter_scan(scan).own_power is None
