"""ctgrid's own autoencoder: what it takes, what it gives, and that nothing is lost on the way that need not be."""

from __future__ import annotations

import pytest
import torch

from ctgrid.base.draws import generator_for, normal
from ctgrid.stages.codecs.unshuffle_codec import DOWNSAMPLE, ResidualBlock, UnshuffleCodec


def network(**changes: object) -> UnshuffleCodec:
    """Return a small one with random weights, always the same."""
    sizes = {"latent_channels": 3, "encoder_width": 8, "encoder_blocks": 1, "decoder_width": 8, "decoder_blocks": 1}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return UnshuffleCodec(**sizes, fine_width=6, **changes)  # type: ignore[arg-type]


def test_a_new_block_changes_nothing() -> None:
    x = normal((1, 4, 5, 5), generator_for(0))
    assert torch.equal(ResidualBlock(4)(x), x)


@pytest.mark.parametrize("channels", [1, 3])
def test_shapes(channels: int) -> None:
    """An eighth of the side, a quarter where it is fine; the posterior is what both ways give."""
    codec, images = network(image_channels=channels), normal((2, channels, 16, 32), generator_for(1))
    fine, mean, log_variance = codec.described(images)
    assert (fine.shape, mean.shape) == ((2, 6, 4, 8), (2, 3, 16 // DOWNSAMPLE, 32 // DOWNSAMPLE))
    assert torch.equal(torch.stack(codec.posterior(images)), torch.stack((mean, log_variance)))
    assert codec.reconstruct(mean).shape == images.shape


def test_training_without_noise_is_decoding_the_mean() -> None:
    """With noise it is another latent, as far off as the variance says."""
    codec, images = network(), normal((1, 1, 16, 16), generator_for(2))
    noise = normal((1, 3, 2, 2), generator_for(3))
    plain, mean, log_variance, guess = codec(images, torch.zeros_like(noise))
    assert guess is None and torch.equal(plain, codec.reconstruct(mean))
    noisy = codec(images, noise)[0]
    assert torch.equal(noisy, codec.reconstruct(mean + noise * torch.exp(0.5 * log_variance)))


def test_the_variance_stays_finite() -> None:
    """Whatever the weights say."""
    codec = network()
    codec.encoder[-1].bias.data[3:] = torch.tensor([1e4, -1e4, 0.0])
    log_variance = codec.posterior(torch.zeros(1, 1, 8, 8))[1]
    assert log_variance.amax() == 10 and log_variance.amin() == -20


def test_normalisation_is_the_configs() -> None:
    """One number a channel; without any, latents stay as they are."""
    mean, std = network(latents_mean=[1.0, 2.0, 3.0], latents_std=[4.0, 5.0, 6.0]).normalisation()
    assert mean.flatten().tolist() == [1, 2, 3] and std.flatten().tolist() == [4, 5, 6] and mean.shape == (1, 3, 1, 1)
    mean, std = network().normalisation()
    assert not mean.any() and bool((std == 1).all())


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_the_second_encoder_guesses_latents_of_the_same_size(factor: int) -> None:
    codec = network(coarse_width=4, coarse_factor=factor)
    assert codec.coarse_encoder is not None
    assert codec.coarse_encoder(torch.zeros(1, 1, 16 // factor, 16 // factor)).shape == (1, 3, 2, 2)
    with pytest.raises(ValueError, match="coarse_factor must divide 8, got 3"):
        network(coarse_width=4, coarse_factor=3)
