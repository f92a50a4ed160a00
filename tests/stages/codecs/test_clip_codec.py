"""CogVideoX's 3-D autoencoder over grids: the same as the network itself on clips, and where it does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.stages.codecs.clip_codec import FRAMES, ClipAdapter, from_clips, tile_latents, to_clips, untile_latents
from ctgrid.stages.codecs.codecs import Codec, load_codec
from ctgrid.stages.networks.stacked import stack_cells

SIZES = {"block_out_channels": (8, 8, 8, 8), "layers_per_block": 1, "norm_num_groups": 4}


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    from diffusers import AutoencoderKLCogVideoX

    torch.manual_seed(0)
    return AutoencoderKLCogVideoX(**SIZES, scaling_factor=0.5, shift_factor=0.25).eval()


def test_clips_are_grids_in_order_and_come_back() -> None:
    """Frame 5 of a clip is the second of the grid's second row."""
    grids = torch.randn(2, 3, 32, 32)
    clips = to_clips(grids)
    assert clips.shape == (2, 3, 16, 8, 8) and torch.equal(clips[1, :, 5], grids[1, :, 8:16, 8:16])
    assert torch.equal(from_clips(clips), grids)


def test_a_stack_of_tiled_latents_is_the_latent_whole() -> None:
    """Cells stacked as channels give its frames one after the other, each with all its channels."""
    latents = torch.randn(2, 16, 4, 3, 3)
    tiled = tile_latents(latents)
    assert tiled.shape == (2, 4, 12, 12) and torch.equal(untile_latents(tiled, 4), latents)
    stacked = stack_cells(tiled, 4)
    assert torch.equal(stacked, torch.cat([latents[:, :, frame] for frame in range(4)], dim=1))


def test_grids_go_through_the_network_as_clips(network: torch.nn.Module) -> None:
    """Gray three times, scaled by the config, and back."""
    codec = Codec(network, "clips")
    assert (codec.latent_channels, codec.downsample, codec.grid_side) == (4, 8, 4)
    grids = torch.rand(1, 1, 64, 64) * 2 - 1
    latent = codec.encode(grids)
    with torch.no_grad():
        clip = to_clips(grids.expand(-1, 3, -1, -1))
        wanted = network.encode(clip).latent_dist.mode()
        assert wanted.shape == (1, 16, 4, 2, 2)
        again = from_clips(network.decode(wanted).sample).mean(1, keepdim=True).clamp(-1, 1)
    assert torch.allclose(untile_latents(latent, 4), (wanted - 0.25) * 0.5, atol=1e-6)
    assert torch.allclose(codec.decode(latent), again, atol=1e-5)
    with pytest.raises(CtgridError, match="multiples of 32; got 48 x 48"):
        codec.encode(grids[..., :48, :48])


def test_it_is_loaded_by_the_class_in_its_folder(network: torch.nn.Module, tmp_path: Path) -> None:
    network.save_pretrained(tmp_path / "vae")  # type: ignore[operator]
    codec = load_codec(tmp_path)
    assert codec.grid_side == 4 and codec.identity == Codec(network, "x").identity
    assert load_codec("embedded").grid_side is None


def test_numbers_that_fill_no_grid_are_refused(network: torch.nn.Module) -> None:
    class Odd:
        config = dict(network.config, latent_channels=6)  # noqa: RUF012

    with pytest.raises(CtgridError, match="6 channels in 4 frames"):
        ClipAdapter(Odd())
    assert FRAMES == 16
