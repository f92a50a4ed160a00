"""Attention by block: rows add up to one, shares are what they are called, places are those of the image."""

from __future__ import annotations

import pytest
import torch

from ctgrid.base.draws import generator_for
from ctgrid.base.errors import CtgridError
from ctgrid.stages.networks.attention import attend
from ctgrid.stages.networks.attention_maps import attention_maps, raster, shares
from ctgrid.stages.networks.dit import DiT


@pytest.fixture(scope="module")
def network() -> DiT:
    """Two blocks over 2 x 2 cells of 2 x 2 tokens."""
    network = DiT(latent_size=8, in_channels=2, patch_size=2, width=24, depth=2, heads=2, cells_per_side=2)
    network.initialise(generator_for(3))
    return network


def test_maps_are_what_the_block_attends_with(network: DiT) -> None:
    """The values, weighted by the map of a network with one head, are what attention gives."""
    single = DiT(latent_size=8, in_channels=2, patch_size=2, width=24, depth=1, heads=1, cells_per_side=2)
    latent, seen = torch.randn(1, 2, 8, 8, generator=generator_for(1)), {}
    attention = single.blocks[0].attn
    hook = attention.register_forward_pre_hook(lambda module, given: seen.update(x=given[0]))
    maps = attention_maps(single, [-1], latent, torch.tensor([400]))
    hook.remove()
    q, k, v = attention.qkv(seen["x"]).reshape(1, 16, 3, 24).unbind(2)
    assert torch.allclose(maps[0] @ v, attend(q[:, None], k[:, None], v[:, None])[:, 0], atol=1e-5)
    assert not attention._forward_pre_hooks
    both = attention_maps(network, [0, 1], latent, torch.tensor([400]))
    assert set(both) == {0, 1}
    assert all(torch.allclose(of.sum(-1), torch.ones(1, 16)) for of in both.values())


def test_a_block_that_there_is_not_is_refused(network: DiT) -> None:
    """The line names those there are."""
    with pytest.raises(CtgridError, match="block 2 is none of this network's 2: give 0 to 1"):
        attention_maps(network, [2], torch.zeros(1, 2, 8, 8), torch.tensor([1]))


def test_shares_of_even_own_and_same_place_attention() -> None:
    """By chance for even attention, none for a token that sees itself alone, all for the same place elsewhere."""
    cells, tokens = 4, 4
    even = torch.full((1, 16, 16), 1 / 16)
    assert shares(even, cells) == pytest.approx(
        {"other_cells": 0.75, "other_cells_chance": 0.75, "same_place": 0.25, "same_place_chance": 0.25}
    )
    elsewhere = torch.kron(torch.ones(cells, cells) - torch.eye(cells), torch.eye(tokens))[None] / (cells - 1)
    assert shares(elsewhere, cells)["same_place"] == pytest.approx(1.0)
    assert shares(elsewhere, cells)["other_cells"] == pytest.approx(1.0)
    assert shares(torch.eye(16)[None] * 0.9 + even * 0.1, cells)["other_cells"] == pytest.approx(0.075)


def test_raster_puts_tokens_where_the_image_has_them() -> None:
    """Cell 1 lies right of cell 0, and its second row below its first."""
    image = raster(torch.arange(16), 2)
    assert image.tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
