"""ctgrid's own autoencoder in the terms of a codec: normalised, and known by its encoder alone."""

from __future__ import annotations

import torch

from ctgrid.base.draws import generator_for, normal
from ctgrid.stages.codecs.unshuffle import UnshuffleAdapter
from ctgrid.stages.codecs.unshuffle_codec import UnshuffleCodec

SIZES = {"latent_channels": 2, "encoder_width": 8, "encoder_blocks": 1, "decoder_width": 8, "decoder_blocks": 1}
SCALED = {**SIZES, "fine_width": 6, "latents_mean": [1.0, -2.0], "latents_std": [0.5, 3.0]}
MEAN, STD = (torch.tensor(SCALED[name]).view(1, 2, 1, 1) for name in ("latents_mean", "latents_std"))


def test_latents_are_normalised_channel_by_channel_and_back() -> None:
    """The variance by the square; what is shown beside the fine stage is the same latent."""
    network = UnshuffleCodec(**SCALED).eval()  # type: ignore[arg-type]
    adapter, images = UnshuffleAdapter(network), normal((1, 1, 16, 16), generator_for(0))
    mean, variance = adapter.posterior(images)
    raw, log_variance = network.posterior(images)
    assert torch.allclose(mean * STD + MEAN, raw, atol=1e-5)
    assert torch.allclose(variance * STD**2, log_variance.exp(), rtol=1e-5)
    assert torch.allclose(adapter.decode(mean), network.reconstruct(raw), atol=1e-5)
    fine, shown = adapter.described(images)
    assert torch.equal(shown, mean) and fine.shape == (1, 6, 4, 4)


def test_another_decoder_makes_no_other_latents() -> None:
    """Another encoder, or another scale, does."""
    adapter = UnshuffleAdapter(UnshuffleCodec(**SCALED))  # type: ignore[arg-type]
    config, weights = adapter.identifying()
    assert weights and all(name.startswith("encoder.") for name in weights)
    assert not any(name.startswith("decoder") for name in config)
    assert (config["latents_mean"], config["latents_std"]) == (SCALED["latents_mean"], SCALED["latents_std"])
    other = UnshuffleAdapter(UnshuffleCodec(**{**SCALED, "decoder_width": 4, "decoder_blocks": 2}))  # type: ignore[arg-type]
    assert other.identifying()[0] == config and other.coarse_factor is None
