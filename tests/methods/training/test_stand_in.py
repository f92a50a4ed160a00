"""The outline of the SD VAE's encoder, against the network itself."""

from __future__ import annotations

import torch
from torch import nn

from ctgrid.methods.training.meter import imagined
from ctgrid.methods.training.stand_in import LATENT_CHANNELS, WIDTHS, AutoencoderKL, stand_in
from ctgrid.stages.codecs.codecs import Codec


def needs(network: nn.Module, side: int) -> tuple[int, int, int, torch.Size]:
    """Return weights, operations, bytes and shape of latents of two images, without data."""
    codec = Codec(network, "any")
    with imagined() as meter:
        images = torch.zeros(2, 1, side, side)
        before = meter.live
        meter.restart()
        latents = codec.encode(images)
        return sum(p.numel() for p in network.parameters()), meter.flops, meter.peak - before, latents.shape


def test_it_needs_what_the_network_itself_needs() -> None:
    import diffusers

    with torch.device("meta"):
        outline = AutoencoderKL()
        own = diffusers.AutoencoderKL(
            latent_channels=LATENT_CHANNELS,
            block_out_channels=WIDTHS,
            layers_per_block=2,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
        )
    del own.decoder, own.post_quant_conv
    outline, own = (network.to_empty(device="cpu") for network in (outline, own))
    for side in (64, 256):
        assert needs(outline, side) == needs(own, side)


def test_its_facts_are_those_of_the_codec() -> None:
    codec = stand_in()
    assert (codec.latent_channels, codec.downsample) == (4, 8)
    assert codec.encode(torch.zeros(1, 1, 64, 64)).shape == (1, 4, 8, 8)
