"""Places along z, batches, and cells that become slices."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ctgrid.stages.cells import batches, coarse_slices, decode_cells, encode_cells, sample_cells, tokens, z_of
from ctgrid.stages.models.bundle import Bundle, load_bundle
from ctgrid.stages.schedules import PlannedGrid, hierarchical


@pytest.fixture(scope="module")
def bundle(tiny_model: Path) -> Bundle:
    """A tiny untrained model."""
    return load_bundle(tiny_model)


def test_slices_share_out_the_volume_evenly() -> None:
    """As many as in training are their own places; one lies in the middle; none lies outside."""
    assert z_of(torch.arange(120), 120, 120).tolist() == list(range(120))
    assert z_of(torch.tensor([0]), 1, 120).item() == 59.5
    half = z_of(torch.arange(60), 60, 120)
    assert half[:2].tolist() == [0.5, 2.5] and half[-1] == 118.5
    assert z_of(torch.tensor([-0.5, 200.5]), 201, 120).tolist() == [0.0, 119.0]


@pytest.mark.parametrize(("count", "size"), [(0, 3), (1, 3), (6, 3), (7, 3)])
def test_batches_cover_everything_once(count: int, size: int) -> None:
    parts = [list(range(count))[part] for part in batches(count, size)]
    assert [number for part in parts for number in part] == list(range(count))
    assert all(1 <= len(part) <= size for part in parts)


@torch.no_grad()
def test_slices_come_in_full_batches_across_volumes(bundle: Bundle) -> None:
    """Numbered through, and the same whatever the batch."""
    k = bundle.facts1.k
    side = bundle.facts1.size // bundle.codec.downsample // k
    shape = (2, k * k + 3, bundle.codec.latent_channels, side, side)
    cells = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    whole = torch.cat([decode_cells(bundle, volume, 5) for volume in cells])
    for batch in (4, 50):
        parts = list(coarse_slices(bundle, cells, batch))
        assert [first for first, _ in parts] == list(range(0, len(whole), batch))
        torch.testing.assert_close(torch.cat([part for _, part in parts]), whole)
    assert tokens(bundle.stage1) == (bundle.stage1.latent_size // bundle.stage1.patch_size) ** 2


@torch.no_grad()
def test_cells_are_encoded_one_by_one_or_in_grids(bundle: Bundle) -> None:
    """A grid's worth of slices gives as many cells, of the shape that decoding takes."""
    k = bundle.facts1.k
    side = bundle.facts1.size // k
    coarse = torch.rand(k * k, 1, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1
    cells = encode_cells(bundle, coarse)
    assert cells.shape == (k * k, bundle.codec.latent_channels, *[side // bundle.codec.downsample] * 2)
    assert decode_cells(bundle, cells, 3).shape == coarse.shape


@torch.no_grad()
def test_gaps_are_filled_by_their_own_network(bundle: Bundle) -> None:
    """Keyframes stay as stage 1 makes them; what lies between changes with the network that fills."""
    slices = bundle.facts1.slices
    plan = hierarchical(slices, bundle.facts1.k)
    settings = {"seeds": [1], "steps": 1, "filling": {"steps": 2, "sampler": "ddim", "spacing": "even"}}
    alone, _ = sample_cells(bundle, plan, slices, **settings)
    same, _ = sample_cells(replace(bundle, gaps=bundle.stage1, facts_gaps=bundle.facts1), plan, slices, **settings)
    assert torch.equal(alone, same)
    other = copy.deepcopy(bundle.stage1)
    for parameter in other.parameters():
        parameter.mul_(0.5)
    with_other = replace(bundle, gaps=other, facts_gaps=bundle.facts1)
    mixed, _ = sample_cells(with_other, plan[:2], slices, **settings)
    rolling, unlike = (sample_cells(b, plan[:2], slices, seeds=[1], steps=1)[0] for b in (bundle, with_other))
    assert torch.equal(rolling, unlike), "where no gaps are filled, stage 1 goes on"
    keyframes = torch.from_numpy(plan[0][0].target)
    whole, _ = sample_cells(bundle, plan[:2], slices, **settings)
    assert torch.equal(mixed[0, keyframes], whole[0, keyframes])
    assert not torch.equal(mixed, whole)


@torch.no_grad()
def test_what_is_made_anew_fades_into_what_is_there(bundle: Bundle) -> None:
    """A share of none, of half and of all of a pass's cells."""
    slices, cells = bundle.facts1.slices, bundle.facts1.k**2
    plan, number = hierarchical(slices, bundle.facts1.k), np.arange(cells)
    known = number != cells // 2
    made = {}
    for share in (None, 0.0, 0.5, 1.0):
        again = PlannedGrid(number.astype(float), number, known, None if share is None else np.full(cells, share))
        made[share], _ = sample_cells(bundle, [*plan, [again]], slices, seeds=[1], steps=1)
    bare, _ = sample_cells(bundle, plan, slices, seeds=[1], steps=1)
    assert torch.equal(made[0.0], bare) and not torch.equal(made[1.0], bare)
    assert torch.equal(made[1.0], made[None])
    torch.testing.assert_close(made[0.5], (bare + made[1.0]) / 2)
