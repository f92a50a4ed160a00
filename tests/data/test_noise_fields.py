"""Fields of noise: what they know of themselves is true of what is drawn from them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from ctgrid.base.draws import generator_for
from ctgrid.data.noise_fields import (
    DOSES_EACH,
    GROUP,
    Grain,
    NoiseField,
    draw_grain,
    empty_field,
    grained,
    make_fields,
)
from ctgrid.data.volumes import VolumeSlices

WHOLE = (slice(0, 64), slice(0, 64))
SPACING = (2.0, 1.5, 1.5)


@pytest.fixture(scope="module")
def volume(chest: Callable[..., np.ndarray]) -> VolumeSlices:
    """A chest of 24 slices."""
    return VolumeSlices("scan", torch.from_numpy(chest((24, 64, 64), noise_hu=0)).to(torch.int16), SPACING)


@pytest.fixture(scope="module")
def fields(volume: VolumeSlices) -> list[NoiseField]:
    """Two places of it."""
    return make_fields([volume], 2, 3)


def test_fields_lie_along_the_volume_and_follow_from_the_seed(volume: VolumeSlices, fields: list[NoiseField]) -> None:
    assert len(fields) == 2 * DOSES_EACH
    assert [field.first for field in fields] == sorted(field.first for field in fields)
    assert all(0 <= field.first <= 8 and len(field) == 16 for field in fields)
    again = make_fields([volume], 2, 3)
    assert torch.equal(again[3].noise, fields[3].noise)
    assert not torch.equal(make_fields([volume], 1, 4)[0].noise, fields[0].noise)


def test_level_and_map_are_those_of_soft_tissue(volume: VolumeSlices, fields: list[NoiseField]) -> None:
    """The map's root mean square there is the level; slices are independent of each other."""
    for field in fields:
        hu = volume.hu[field.first : field.first + GROUP]
        soft = (hu > -150) & (hu < 150)
        noise = field.noise[:GROUP].float()
        assert float(noise[soft].square().mean().sqrt()) == pytest.approx(float(field.level_hu[0]), rel=0.01)
        assert field.local.shape == (4, 8, 8) and 0.4 < float(field.local[0].mean() / field.level_hu[0]) < 1.6
        assert abs(float(torch.corrcoef(noise[:2].flatten(1))[0, 1])) < 0.1
        assert float(field.power.sum()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    "grain", [Grain(0.3, 0.0, (1.0,)), Grain(0.5, 2.0, (1.0, 2.0, 1.0)), Grain(10.0, 0.0, (1.0, 1.0))]
)
def test_a_grain_changes_the_noise_as_is_told(grain: Grain, fields: list[NoiseField]) -> None:
    """By the factor, and a crop is a part of the whole, seen through the same kernel; thick slices overlap."""
    field = fields[0]
    found, factor = grained(field, grain, SPACING[1:], range(2, 10), WHOLE)
    assert found.shape == (8, 64, 64)
    middle = (slice(None), slice(16, 48), slice(16, 48))
    before = field.noise[2:10].float()[middle].std()
    assert float(found[middle].std() / before) == pytest.approx(factor, rel=0.15)
    part, same = grained(field, grain, SPACING[1:], range(2, 10), (slice(24, 40), slice(16, 48)))
    assert same == factor
    error = part[:, 4:-4, 4:-4] - found[:, 28:36, 20:44]
    assert float(error.std()) < 0.1 * float(found.std())
    alike = float(torch.corrcoef(found[:2].flatten(1))[0, 1])
    assert (abs(alike) < 0.1) if len(grain.weights) == 1 else (alike > 0.3)


def test_grains_are_of_all_kinds() -> None:
    drawn = [draw_grain(generator_for(i), (0.45, 1.8)) for i in range(60)]
    cutoffs = [grain.cutoff_per_mm for grain in drawn]
    assert 0.45 <= min(cutoffs) < 0.6 and 1.3 < max(cutoffs) <= 1.8
    assert 5 < sum(grain.boost > 0 for grain in drawn) < 35
    assert {len(grain.weights) for grain in drawn} == {1, 2, 3, 4}


def test_an_empty_field_is_of_a_real_ones_shapes(fields: list[NoiseField]) -> None:
    for name in ("noise", "local", "level_hu", "power"):
        empty, real = getattr(empty_field(64), name), getattr(fields[0], name)
        assert empty.shape == real.shape and empty.dtype == real.dtype
