"""Crops with noise drawn on the spot: of the level and map that are told, never less than the scan's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from ctgrid.base.draws import generator_for
from ctgrid.data.measured_scans import MeasuredScan
from ctgrid.data.noise_fields import NoiseField
from ctgrid.data.noise_spectra import white
from ctgrid.data.noisy_crops import LOWEST_HU, CropSource
from ctgrid.data.volumes import VolumeSlices

SIDE = 32


def source(own_hu: float = 5.0, **changes: Any) -> CropSource:
    """Crops of 20 even slices, each of its own value, with a field that is louder on the right."""
    hu = torch.arange(20, dtype=torch.int16).view(-1, 1, 1).expand(-1, 64, 64).contiguous()
    ramp = torch.linspace(1, 3, 64)
    noise = 40 * ramp * torch.randn((16, 64, 64), generator=torch.Generator().manual_seed(1))
    local = (40 * ramp.view(8, 8).mean(1)).expand(4, 8, 8).contiguous()
    level = torch.full((4,), float(noise.std()))
    field = NoiseField(0, 2, noise.half(), local, level, white())
    usual = {"levels_hu": (30.0, 60.0), "field_levels_hu": (30.0, 60.0), "field_share": 1.0}
    usual["cutoffs_per_mm"] = (0.45, 1.8)
    scan = MeasuredScan(VolumeSlices("scan", hu, (2.0, 0.4, 0.4)), own_hu, white())
    return CropSource([scan], fields=[field], side=SIDE, neighbours=1, **(usual | changes))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_noise_is_as_strong_as_told(share: float) -> None:
    """White and a scanner's; neighbours are the slices above and below; whole HU, and no lower than scanners store."""
    ratios = []
    for i in range(30):
        crop = source(field_share=share).draw(generator_for(i))
        assert crop.noisy.shape == (3, SIDE, SIDE) and crop.told.shape == (SIDE // 8, SIDE // 8)
        assert 30 <= crop.level_hu <= 61 and torch.equal(crop.noisy, crop.noisy.round())
        assert float(crop.clean.std()) == 0 and float(crop.noisy.min()) >= LOWEST_HU
        removed = float((crop.noisy[1] - crop.clean).std())
        ratios.append(removed / float(crop.told.square().mean().sqrt()))
    assert sum(ratios) / len(ratios) == pytest.approx(1, rel=0.25)


def test_the_share_that_was_added() -> None:
    """Of white noise over a scan's own white noise the same everywhere; a smooth kernel's ends where it does."""
    for crop in map(source(own_hu=30.0, field_share=0.0).draw, streams(4)):
        assert torch.allclose(crop.added, torch.tensor(1 - (30 / crop.level_hu) ** 2), atol=1e-3)
    for crop in map(source(own_hu=30.0, cutoffs_per_mm=(0.6, 0.6)).draw, streams(4)):
        assert float(crop.added[:8].min()) > 0.75 and not crop.added[40:].any()
    untold = source(field_share=0.5)
    untold = replace(untold, scans=[replace(untold.scans[0], own_power=None)])
    assert all(torch.equal(crop.added, torch.ones(64)) for crop in map(untold.draw, streams(4)))


def test_the_map_follows_the_field() -> None:
    """But where it is flat, as for a number given by hand."""
    slopes = [float(crop.told[:, -1].mean() / crop.told[:, 0].mean()) for crop in map(source().draw, streams(30))]
    assert sum(slope > 1.15 for slope in slopes) > 10 and sum(slope == pytest.approx(1) for slope in slopes) > 3


def test_no_noise_below_the_scans_own() -> None:
    """Else the network would learn to leave as much."""
    for share in (0.0, 1.0):
        for crop in map(source(field_share=share, own_hu=58.0).draw, streams(10)):
            assert crop.level_hu >= 58 * 2**0.5 - 1e-3


def test_fields_are_weakened_and_strengthened_to_a_point() -> None:
    """An order of magnitude down, three times up: what lies further off is another dose's noise."""
    loud = source(field_levels_hu=(1000.0, 5000.0)).draw(generator_for(1)).level_hu
    assert loud < 1001.0
    few = source(field_levels_hu=(1.0, 1.5), own_hu=0.0)
    field = replace(few.fields[0], noise=few.fields[0].noise * 10, level_hu=few.fields[0].level_hu * 10)
    assert replace(few, fields=[field]).draw(generator_for(2)).level_hu > 5


def test_crops_come_from_quieter_versions_too() -> None:
    """Of another size than the field, which then lies over them as far along; their own noise is the bound."""
    hu = torch.arange(100, 120, dtype=torch.int16).view(-1, 1, 1).expand(-1, 40, 40).contiguous()
    twin = VolumeSlices("scan", hu, (2.0, 0.64, 0.64))
    for share in (0.0, 1.0):
        both = source(field_share=share, own_hu=58.0, quiet=[MeasuredScan(twin, 31.0, white())], quiet_share=0.5)
        crops = [(float(crop.clean.mean()), crop.level_hu) for crop in map(both.draw, streams(40))]
        quiet = [level for clean, level in crops if clean >= 100]
        assert 8 < len(quiet) < 32
        assert min(quiet) < 58 <= min(level for clean, level in crops if clean < 100)


def streams(count: int) -> list[torch.Generator]:
    return [generator_for(i) for i in range(count)]
