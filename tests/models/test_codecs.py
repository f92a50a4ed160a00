"""One interface over three autoencoders: shapes, scaling, gray and colour, and folders that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ctgrid.draws import generator_for, normal
from ctgrid.errors import CtgridError
from ctgrid.models.codecs import Codec, load_codec
from ctgrid.models.unshuffle_codec import UnshuffleCodec


def diffusers_codec(name: str) -> Any:
    """Build an untrained autoencoder of diffusers, reduction 8, as small as it goes."""
    import diffusers

    wide = (8, 8, 8, 8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if name == "AutoencoderTiny":
            return diffusers.AutoencoderTiny(
                encoder_block_out_channels=wide,
                decoder_block_out_channels=wide,
                num_encoder_blocks=(1, 1, 1, 1),
                num_decoder_blocks=(1, 1, 1, 1),
            )
        blocks = {f"{way}_block_types": (f"{way.title()}{kind}",) * 4 for way, kind in BLOCKS.items()}
        return diffusers.AutoencoderKL(block_out_channels=wide, norm_num_groups=4, layers_per_block=1, **blocks)


BLOCKS = {"down": "EncoderBlock2D", "up": "DecoderBlock2D"}


@pytest.fixture(scope="module", params=["UnshuffleCodec", "AutoencoderKL", "AutoencoderTiny"])
def codec(request: pytest.FixtureRequest, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Codec:
    """Each kind, read from a folder."""
    if request.param == "UnshuffleCodec":
        return load_codec(tiny_model / "codec")
    folder = tmp_path_factory.mktemp("codec")
    diffusers_codec(request.param).save_pretrained(folder)
    return load_codec(folder)


def test_shapes_and_types(codec: Codec) -> None:
    """An eighth of the side, four channels, float32, no gradients, images in range."""
    images = torch.rand(2, 1, 32, 48, generator=generator_for(0)) * 2 - 1
    latent = codec.encode(images)
    assert (codec.downsample, codec.latent_channels) == (8, 4)
    assert latent.shape == (2, 4, 4, 6)
    assert latent.dtype == torch.float32 and not latent.requires_grad
    decoded = codec.decode(latent)
    assert decoded.shape == images.shape and decoded.dtype == torch.float32
    assert decoded.abs().max() <= 1
    assert codec.decode(100 * latent).abs().max() <= 1
    assert not codec.network.training


def test_encoding_draws_nothing(codec: Codec) -> None:
    """The posterior's mean, not a sample."""
    images = torch.rand(1, 1, 16, 16, generator=generator_for(1))
    assert torch.equal(codec.encode(images), codec.encode(images))


@pytest.mark.parametrize("shape", [(1, 3, 16, 16), (1, 16, 16), (1, 1, 20, 16), (1, 1, 16, 20)])
def test_images_that_do_not_fit_are_refused(codec: Codec, shape: tuple[int, ...]) -> None:
    """The message says what would fit."""
    with pytest.raises(CtgridError, match=r"codec\.encode: .*(\(B, 1, H, W\)|multiples of 8)"):
        codec.encode(torch.zeros(shape))


def test_latents_of_other_channels_are_refused(codec: Codec) -> None:
    """Likewise."""
    with pytest.raises(CtgridError, match=r"codec\.decode: latents must be \(B, 4, h, w\), got \(1, 5, 2, 2\)"):
        codec.decode(torch.zeros(1, 5, 2, 2))


def test_scaling_is_undone_before_decoding() -> None:
    """The embedded codec normalises by the mean and spread in its config, and decodes what it encoded."""
    settings = {"latents_mean": [0.5, -1.0, 0.0, 2.0], "latents_std": [0.1, 2.0, 1.0, 0.5]}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = UnshuffleCodec(4, 8, 1, 8, 1, 8, 1, **settings)  # type: ignore[arg-type]
    images = torch.rand(1, 1, 16, 16, generator=generator_for(2))
    raw = network.posterior(images)[0]
    mean, std = (torch.tensor(values)[None, :, None, None] for values in settings.values())
    codec = Codec(network, "test")
    assert torch.allclose(codec.encode(images), (raw - mean) / std, atol=1e-5)
    assert torch.allclose(codec.decode(codec.encode(images)), network.reconstruct(raw).clamp(-1, 1), atol=1e-5)


def test_stable_diffusion_scaling_and_gray(tmp_path: Path) -> None:
    """Gray goes in three times, the posterior's mean is scaled by 0.18215, channels are averaged coming out."""
    network = diffusers_codec("AutoencoderKL")
    codec = Codec(network, "test")
    images = torch.rand(1, 1, 16, 16, generator=generator_for(3))
    with torch.no_grad():
        mean = network.encode(images.expand(-1, 3, -1, -1)).latent_dist.mean
        latent = normal((1, 4, 2, 2), generator_for(4))
        rgb = network.decode(latent / 0.18215).sample
    assert torch.allclose(codec.encode(images), mean * 0.18215, atol=1e-6)
    assert torch.allclose(codec.decode(latent), rgb.mean(dim=1, keepdim=True).clamp(-1, 1), atol=1e-6)


def break_folder(folder: Path, how: str) -> None:
    """Damage a codec's folder in a named way."""
    config, weights = folder / "config.json", folder / "diffusion_pytorch_model.safetensors"
    if how == "no config":
        config.unlink()
    elif how == "no json":
        config.write_text("{")
    elif how == "a list":
        config.write_text("[]")
    elif how == "another class":
        config.write_text(json.dumps({"_class_name": "UNet2DModel"}))
    elif how == "no weights":
        weights.unlink()
    elif how == "cut weights":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif how == "another size":
        config.write_text(json.dumps(json.loads(config.read_text(encoding="utf-8")) | {"encoder_width": 16}))


@pytest.mark.parametrize(
    "how", ["no config", "no json", "a list", "another class", "no weights", "cut weights", "another size"]
)
def test_damaged_folders_are_refused_by_name(how: str, tmp_path: Path) -> None:
    """One line that names the folder, whatever diffusers would say."""
    folder = tmp_path / "codec"
    UnshuffleCodec(4, 8, 1, 8, 1, 8, 1).save_pretrained(folder)
    break_folder(folder, how)
    with pytest.raises(CtgridError, match=str(folder)) as caught:
        load_codec(folder)
    assert "\n" not in str(caught.value)
