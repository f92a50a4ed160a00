"""``ctgrid model convert`` and ``info``: from published files to a volume."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ctgrid import Volume
from ctgrid.base.files import sha256_of
from ctgrid.stages.models.bundle import load_bundle
from ctgrid.stages.networks.dit import DiT

CHECKPOINT = "0400000.pt"


def checkpoint(path: Path, condition: int = 0, latent: int = 16, cells: int = 4, **arguments: int) -> Path:
    """Save a tiny GriDiT training checkpoint: noise and variance of 4 channels, images of 128 x 128."""
    generator = torch.Generator().manual_seed(condition)
    form = ("2d", 1) if condition else ("depth_major", cells)
    model = DiT(latent, 4, condition, width=48, depth=1, heads=3, positions=form[0], cells_per_side=form[1])
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=generator)
    state = model.state_dict()
    zeros = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    args = argparse.Namespace(model="DiT-XL/2", image_size=128, num_heads=3, **arguments)
    torch.save({"model": zeros, "ema": state, "opt": {"param_groups": []}, "args": args}, path)
    return path


@pytest.fixture(scope="module")
def sd_vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny codec in the format of the SD VAE: RGB, 4 channels at 1/8, scaling 0.18215."""
    from diffusers import AutoencoderKL

    folder = tmp_path_factory.mktemp("sd-vae")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        kinds = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
        codec = AutoencoderKL(block_out_channels=(8,) * 4, layers_per_block=1, norm_num_groups=4, **kinds)
        codec.decoder.conv_out.weight.data *= 8  # so that what the stages make shows
    codec.save_pretrained(folder)
    assert (codec.config.in_channels, codec.config.latent_channels, codec.config.scaling_factor) == (3, 4, 0.18215)
    return folder


def test_published_checkpoints_make_a_volume(
    ctgrid: Callable[..., Any], sd_vae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two checkpoints and a VAE: converted, packed, sampled with noise prediction, learned variance, replacement."""
    for part, condition in (("stage1", 0), ("stage2", 4)):
        result = ctgrid("model", "convert", checkpoint(tmp_path / f"{part}.pt", condition), "--out", tmp_path / part)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
    parts = ("--codec", sd_vae, "--stage1", tmp_path / "stage1", "--stage2", tmp_path / "stage2")
    result = ctgrid("model", "pack", *parts, "--out", tmp_path / "paper")
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    facts = load_bundle(tmp_path / "paper").facts1
    assert (facts.prediction, facts.conditioning, facts.size, facts.k) == ("epsilon", "replace", 128, 4)
    quick = ("--slices", 18, "--size", 32, "--steps", 2, "--refine-steps", 1, "--device", "cpu", "--no-picture")
    volumes = {}
    for sampler, seed in (("ddpm", 1), ("dpm++", 1)):
        out = tmp_path / f"{sampler}{seed}.nii.gz"
        line = ("--model", tmp_path / "paper", "--sampler", sampler, "--seed", seed, *quick, "--out", out)
        result = ctgrid("synthesize", *line)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        volumes[sampler, seed] = Volume.read(out, hu="stored").hu
    assert all(hu.shape == (18, 32, 32) and hu.std() > 1 for hu in volumes.values())
    assert (volumes["ddpm", 1] != volumes["dpm++", 1]).any()
    record = json.loads((tmp_path / "ddpm1.run.json").read_text(encoding="utf-8"))
    assert record["settings"]["schedule"] == "autoregressive"


def test_published_checkpoints_of_video_make_a_movie(ctgrid: Callable[..., Any], sd_vae: Path, tmp_path: Path) -> None:
    """Minecraft's: K = 8, four rows carried over, frames twice their cells, in colour; other data sets do not fit."""
    sources = checkpoint(tmp_path / "1.pt", cells=8), checkpoint(tmp_path / "2.pt", 4, latent=4, sr_scale=2)
    for source, out, dataset in ((0, "s1", "minecraft"), (1, "s2", "minecraft"), (1, "ct", "ct-rate")):
        result = ctgrid("model", "convert", sources[source], "--out", tmp_path / out, "--dataset", dataset)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
    parts = ("--codec", sd_vae, "--stage1", tmp_path / "s1", "--out", tmp_path / "model")
    wrong = ctgrid("model", "pack", *parts, "--stage2", tmp_path / "ct")
    assert wrong.exit_code == 1 and "k of both stages differ, 8 and 2" in wrong.stderr
    assert ctgrid("model", "pack", *parts, "--stage2", tmp_path / "s2").exit_code == 0
    quick = ("--frames", 66, "--steps", 1, "--refine-steps", 1, "--device", "cpu", "--batch-size", 32)
    made = ctgrid("synthesize", "--as", "video", "--model", tmp_path / "model", *quick, "--out", tmp_path / "m.gif")
    assert (made.exit_code, made.stderr) == (0, ""), made.output
    record = json.loads((tmp_path / "m.run.json").read_text(encoding="utf-8"))
    assert record["settings"]["control_rows"] == 4 and record["settings"]["size"] == 32
    assert (record["results"]["frames"], record["results"]["height"]) == (66, 32)


def test_the_record_says_what_was_decided(ctgrid: Callable[..., Any], tmp_path: Path) -> None:
    """Source hash, which weights, positions, class branch, heads, facts; the same on stdout."""
    source, out = checkpoint(tmp_path / CHECKPOINT), tmp_path / "out"
    result = ctgrid("model", "convert", source, "--out", out, "--stage", "2", "--half", "--json")
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert json.loads(result.stdout)["decisions"] == record["decisions"]
    assert record["inputs"][0]["sha256"] == sha256_of(source)
    assert {Path(entry["path"]).name for entry in record["outputs"]} == {
        "config.json",
        "diffusion_pytorch_model.safetensors",
        "stage.json",
    }
    assert set(record["decisions"]) == {"weights", "heads", "class_branch", "positions", "patch_projection", "facts"}
    assert (record["model"]["stage"], record["model"]["dtype"]) == (2, "float16")
    assert record["model"]["facts"]["size"] == 128


def test_convert_says_in_words(ctgrid: Callable[..., Any], tmp_path: Path) -> None:
    """One line per decision; again only with leave."""
    source, out = checkpoint(tmp_path / CHECKPOINT), tmp_path / "out"
    result = ctgrid("model", "convert", source, "--out", out, "--weights", "ema")
    assert "positions: depth_major" in result.stdout and "weights: ema of ema, model" in result.stdout
    assert "heads: recorded in the checkpoint" in result.stdout
    assert ctgrid("model", "convert", source, "--out", out, "--overwrite").exit_code == 0
    assert {path.name for path in out.glob("run*.json")} == {"run.json", "run-1.json"}


def test_info_for_people_and_machines(ctgrid: Callable[..., Any], tmp_path: Path, sd_vae: Path) -> None:
    """A file, a codec, the embedded model."""
    source = checkpoint(tmp_path / CHECKPOINT)
    result = ctgrid("model", "info", source)
    assert result.exit_code == 0, result.output
    for words in ("training checkpoint", "positions depth_major", "heads 3", "prediction epsilon", sha256_of(source)):
        assert words in result.stdout, words
    info = json.loads(ctgrid("model", "info", source, "--json").stdout)
    assert (info["kind"], info["positions"], info["sha256"]) == (
        "training checkpoint",
        "depth_major",
        sha256_of(source),
    )
    assert "AutoencoderKL: 4 channels at 1/8, scaling 0.18215" in ctgrid("model", "info", sd_vae).stdout
    embedded = ctgrid("model", "info", "embedded").stdout
    assert "stage 1, positions grid" in embedded and "UnshuffleCodec" in embedded
    assert sorted(path.name for path in tmp_path.iterdir()) == [CHECKPOINT]


def test_bad_input_leaves_nothing(ctgrid: Callable[..., Any], fails: Callable[..., str], tmp_path: Path) -> None:
    """One line each, and no folder."""
    out = ("--out", tmp_path / "out")
    said = fails("model", "convert", tmp_path / "missing.pt", *out)
    assert "missing.pt: no such file or folder; give a .pt, a .safetensors or a model folder" in said
    (tmp_path / "text.pt").write_text("no checkpoint", encoding="utf-8")
    assert "cannot be read safely" in fails("model", "convert", tmp_path / "text.pt", *out)
    assert "cannot be read safely" in fails("model", "info", tmp_path / "text.pt")
    source = checkpoint(tmp_path / CHECKPOINT)
    assert "multiple of heads 5" in fails("model", "convert", source, *out, "--heads", 5)
    assert "cannot be divided" in fails("model", "convert", source, *out, "--latent-size", 9)
    assert "does not exist; create it first" in fails("model", "convert", source, "--out", tmp_path / "no" / "out")
    assert "is a file" in fails("model", "convert", source, "--out", source, "--overwrite")
    assert "--stage" in fails("model", "convert", source, *out, "--stage", 3, code=2)
    assert "it holds" in fails("model", "info", _foreign(tmp_path / "foreign.pt"))
    assert ctgrid("model", "convert", source, *out).exit_code == 0
    assert "pass --overwrite" in fails("model", "convert", source, *out)


def _foreign(path: Path) -> Path:
    torch.save({"model": {"w": torch.zeros(1)}, "args": path}, path)
    return path
