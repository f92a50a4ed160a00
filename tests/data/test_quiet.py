"""Quieter versions of scans: the same anatomy, larger pixels, thicker slices, less noise."""

from __future__ import annotations

import pytest
import torch

from ctgrid.base.draws import generator_for, normal
from ctgrid.data.quiet import quieter
from ctgrid.data.volumes import VolumeSlices


@pytest.mark.parametrize(("thickness", "left"), [(2.0, 0.45), (5.0, 0.62)])
def test_noise_falls_and_means_stay(thickness: float, left: float) -> None:
    """White noise of 40 HU over 30; thin slices are averaged in twos."""
    noise = 40 * normal((6, 128, 128), generator_for(1)) + 30
    quiet = quieter(VolumeSlices("scan", noise.round().short(), (thickness, 0.5, 0.5)))
    assert quiet.hu.shape == (6, 80, 80) and quiet.hu.dtype == torch.int16
    assert quiet.spacing_mm == pytest.approx((thickness, 0.8, 0.8))
    assert float(quiet.hu.float().mean()) == pytest.approx(30, abs=0.5)
    assert float(quiet.hu[:5].float().std()) / 40 < left
