"""One interface over three autoencoders: shapes, scaling, gray and colour, and folders that are none."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from ctgrid.base.draws import generator_for, normal
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import sha256_of
from ctgrid.stages.codecs.codecs import Codec, codec_source, load_codec
from ctgrid.stages.codecs.unshuffle_codec import UnshuffleCodec


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


def coarse_codec(**config: Any) -> Codec:
    """Return an untrained codec with an encoder for coarse slices."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = UnshuffleCodec(4, 8, 1, 8, 1, 8, 1, coarse_width=8, coarse_blocks=1, **config)
    return Codec(network, "test")


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_coarse_slices_have_the_latent_size_of_whole_ones(factor: int) -> None:
    """Whatever the factor; normalised as the others are."""
    codec = coarse_codec(coarse_factor=factor, latents_mean=[1.0] * 4, latents_std=[2.0] * 4)
    coarse = torch.rand(2, 1, 64 // factor, 32 // factor, generator=generator_for(4))
    latent = codec.encode_coarse(coarse)
    assert latent.shape == (2, 4, 8, 4) and latent.dtype == torch.float32
    raw: Any = codec.network
    assert torch.allclose(latent, (raw.coarse_encoder(coarse) - 1.0) / 2.0)
    assert [f for f in (2, 4, 8) if codec.reads_coarse(f)] == [factor]


def test_codecs_without_that_encoder_say_so(codec: Codec) -> None:
    """They are asked before."""
    assert not codec.reads_coarse(4)
    with pytest.raises(CtgridError, match="has no encoder for coarse slices; enlarge them"):
        codec.encode_coarse(torch.zeros(1, 1, 8, 8))


def test_identity_is_the_encoder() -> None:
    """Latents outlive another decoder, not another encoder or other statistics."""
    one = coarse_codec()
    other = coarse_codec()
    other.network.decoder[0].weight.data += 1  # type: ignore[index, operator, union-attr]
    assert other.identity == one.identity
    other.network.encoder[0].weight.data += 1  # type: ignore[index, operator, union-attr]
    assert len({one.identity, Codec(other.network, "test").identity, coarse_codec(latents_std=[2.0] * 4).identity}) == 3


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


OLD_NAMES = {"to_q.": "query.", "to_k.": "key.", "to_v.": "value.", "to_out.0.": "proj_attn."}
IMAGES = torch.rand(1, 1, 32, 32, generator=generator_for(5)) * 2 - 1


def old_attention(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename the attention's tensors to what diffusers 0.4 called them, as in sd-vae-ft-mse's first files."""
    renamed = {}
    for key, value in state.items():
        for new, old in OLD_NAMES.items() if ".attentions." in key else ():
            key = key.replace(new, old)
        renamed[key] = value
    return renamed


def published_vae(folder: Path) -> Codec:
    """Write a VAE as the first SD VAEs were published: ``.bin``, old names, a config without scaling factor."""
    network = diffusers_codec("AutoencoderKL")
    network.save_config(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del config["scaling_factor"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    torch.save(old_attention(network.state_dict()), folder / "diffusion_pytorch_model.bin")
    return Codec(network, "test")


def test_the_oldest_format_of_the_sd_vae(tmp_path: Path) -> None:
    """Reads to the same network, with the factor 0.18215 that its config does not name."""
    expected = published_vae(tmp_path)
    codec = load_codec(tmp_path)
    assert torch.equal(codec.encode(IMAGES), expected.encode(IMAGES))
    with torch.no_grad():
        mean = expected.network.encode(IMAGES.expand(-1, 3, -1, -1)).latent_dist.mean  # type: ignore[operator]
    assert torch.allclose(codec.encode(IMAGES), 0.18215 * mean, atol=1e-6)


def test_scaling_and_shift_are_the_configs() -> None:
    """SDXL's 0.13025, and newer codecs' shift of the latents; what is encoded is what is decoded."""
    network = diffusers_codec("AutoencoderKL")
    plain = Codec(network, "test")
    network.register_to_config(scaling_factor=0.13025, shift_factor=0.5)
    codec = Codec(network, "test")
    raw = plain.encode(IMAGES) / 0.18215
    assert torch.allclose(codec.encode(IMAGES), (raw - 0.5) * 0.13025, atol=1e-6)
    assert torch.allclose(codec.decode((raw - 0.5) * 0.13025), plain.decode(raw * 0.18215), atol=1e-5)


def test_tensors_that_are_missing_are_not_left_random(tmp_path: Path) -> None:
    """Diffusers would fill them with random numbers and warn."""
    published_vae(tmp_path)
    weights = tmp_path / "diffusion_pytorch_model.bin"
    state = torch.load(weights, weights_only=True)
    del state["encoder.conv_in.weight"]
    torch.save(state, weights)
    with pytest.raises(CtgridError, match=r"lack 1 of the codec's tensors, such as encoder\.conv_in\.weight"):
        load_codec(tmp_path)


class Hostile:
    """What a pickle may hold: a call made when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Make a file."""
        return Path.touch, (Path("pwned"),)


@pytest.mark.parametrize("name", ["diffusion_pytorch_model.bin", "vae.ckpt"])
def test_pickles_run_no_code(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder and as a single file."""
    monkeypatch.chdir(tmp_path)
    published_vae(tmp_path)
    torch.save({"state_dict": Hostile()}, tmp_path / name)
    with pytest.raises(CtgridError, match=r"could not be read|cannot be read safely"):
        load_codec(tmp_path if name.endswith(".bin") else tmp_path / name)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("inside", ["codec", "vae", "model"])
def test_codecs_inside_models_pipelines_and_runs(inside: str, tiny_model: Path, tmp_path: Path) -> None:
    """A folder stands for the codec in it."""
    (tmp_path / inside).symlink_to(tiny_model / "codec")
    assert load_codec(tmp_path).config["latent_channels"] == 4
    source = codec_source(tmp_path)
    assert source["kind"] == "folder" and list(source["files"]) == ["diffusion_pytorch_model.safetensors"]


def test_the_embedded_codec_by_name() -> None:
    """As ``--codec embedded`` and recipes name it."""
    assert load_codec("embedded").name == "UnshuffleCodec:embedded"
    assert codec_source("embedded")["kind"] == "embedded"


def original_key(key: str) -> str:
    """Name a tensor of the VAE as the original code did (4 levels)."""
    outer = {"conv_norm_out": "norm_out", "conv_shortcut": "nin_shortcut", "mid_block.attentions.0": "mid.attn_1"}
    for new, old in outer.items():
        key = key.replace(new, old)
    if "attn_1" in key:
        for new, old in {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}.items():
            key = key.replace(new, old)
    key = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", key)
    key = re.sub(r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2", key)
    key = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", key)
    key = re.sub(r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"up.{3 - int(m[1])}.block.{m[2]}", key)
    return re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{3 - int(m[1])}.upsample", key)


@pytest.mark.parametrize("form", ["diffusers", "original", "whole checkpoint"])
def test_an_sd_vae_in_one_file(form: str, tmp_path: Path) -> None:
    """Under either key names; sizes come from the shapes."""
    from diffusers import AutoencoderKL
    from safetensors.torch import save_file

    blocks = {f"{way}_block_types": [f"{way.title()}{kind}"] * 4 for way, kind in BLOCKS.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = AutoencoderKL(block_out_channels=(32, 32, 64, 64), layers_per_block=1, **blocks)
    state = dict(network.state_dict())
    if form != "diffusers":
        state = {original_key(key): value for key, value in state.items()}
        linear = [key for key in state if ".attn_1." in key and key.endswith("weight") and ".norm." not in key]
        state |= {key: state[key][..., None, None] for key in linear}
    if form == "whole checkpoint":
        path = tmp_path / "model.ckpt"
        extra = {"model.diffusion_model.x": torch.zeros(1)}
        torch.save({"state_dict": extra | {f"first_stage_model.{key}": value for key, value in state.items()}}, path)
    else:
        path = tmp_path / "vae.safetensors"
        save_file({key: value.contiguous() for key, value in state.items()}, path)
    codec, expected = load_codec(path), Codec(network, "test")
    assert torch.equal(codec.encode(IMAGES), expected.encode(IMAGES))
    latent = expected.encode(IMAGES)
    assert torch.equal(codec.decode(latent), expected.decode(latent))
    assert codec_source(path)["files"] == {path.name: sha256_of(path)}


def test_a_single_file_of_something_else(tiny_model: Path) -> None:
    """Is refused by name."""
    path = tiny_model / "stage1" / "diffusion_pytorch_model.safetensors"
    with pytest.raises(CtgridError, match=f"{path}: not an SD VAE"):
        load_codec(path)


def test_taesd_in_its_own_files(tmp_path: Path) -> None:
    """Encoder and decoder as numbered layers; the decoder's clamp has number 0."""
    from diffusers import AutoencoderTiny
    from safetensors.torch import save_file

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = AutoencoderTiny()
    for side, shift in (("encoder", 0), ("decoder", 1)):
        prefix = f"{side}.layers."
        inside = {k.removeprefix(prefix): v for k, v in network.state_dict().items() if k.startswith(prefix)}
        numbered = {f"{int(k.partition('.')[0]) + shift}.{k.partition('.')[2]}": v for k, v in inside.items()}
        save_file(numbered, tmp_path / f"taesd_{side}.safetensors")
    codec, expected = load_codec(tmp_path), Codec(network, "test")
    latent = expected.encode(IMAGES)
    assert torch.equal(codec.encode(IMAGES), latent) and torch.equal(codec.decode(latent), expected.decode(latent))
    save_file({"x": torch.zeros(1)}, tmp_path / "taesd_encoder.safetensors")
    with pytest.raises(CtgridError, match="'x' is not of TAESD"):
        load_codec(tmp_path)
