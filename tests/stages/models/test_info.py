"""What a model is, from its files alone: each kind by its own words, nothing built."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.stages.models.info import model_info
from ctgrid.stages.models.manifest import digest_of
from ctgrid.stages.networks.dit import DiT
from ctgrid.stages.weights.convert import convert

HEADS = 3


def network(stage: int = 1) -> DiT:
    """Build a small DiT as the published ones are."""
    sizes: dict[str, Any] = {"latent_size": 16, "in_channels": 4, "patch_size": 2, "width": 48, "depth": 1}
    stages = {1: {"cells_per_side": 4}, 2: {"cells_per_side": 1, "condition_channels": 4, "positions": "2d"}}
    return DiT(**sizes, heads=HEADS, **stages[stage])


def published(path: Path, model: DiT, **arguments: Any) -> Path:
    """Save a checkpoint as GriDiT's training script does."""
    args = argparse.Namespace(model="DiT-S/2", image_size=128, num_heads=HEADS, vae="ema", **arguments)
    torch.save({"model": model.state_dict(), "ema": model.state_dict(), "args": args}, path)
    return path


def test_info_tells_what_conversion_would_find(tmp_path: Path) -> None:
    """Without building the network, heads unknown included."""
    model = network(2)
    path = published(tmp_path / "0400000.pt", model, sr_scale=4)
    info = model_info(path)
    assert info == json.loads(json.dumps(info))
    assert (info["kind"], info["stage"], info["positions"], info["dtype"]) == (
        "training checkpoint",
        2,
        "2d",
        "float32",
    )
    assert info["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert info["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() == info["files"]["0400000.pt"]
    assert (info["config"]["heads"], info["config"]["condition_channels"], info["facts"]["k"]) == (HEADS, 4, 4)
    torch.save(model.state_dict(), tmp_path / "bare.pt")
    assert (model_info(tmp_path / "bare.pt")["kind"], model_info(tmp_path / "bare.pt")["config"]["heads"]) == (
        "state dict",
        None,
    )
    convert(path, tmp_path / "out")
    again = model_info(tmp_path / "out")
    assert (again["kind"], again["decisions"]["facts"]) == ("ctgrid folder", "stage.json of the source")
    assert {name: value for name, value in again["config"].items() if name in info["config"]} == info["config"]


def test_info_of_whole_models_codecs_and_runs(tiny_model: Path, tmp_path: Path) -> None:
    """Each by its kind; a model's hashes are those of its parts."""
    whole = model_info(tiny_model)
    assert whole["kind"] == "model"
    assert whole["parameters"] == sum(whole[part]["parameters"] for part in ("codec", "stage1", "stage2"))
    assert whole["stage1"]["facts"]["prediction"] == "v" and whole["stage2"]["stage"] == 2
    assert "stage1/diffusion_pytorch_model.safetensors" in whole["files"]
    codec = model_info(tiny_model / "codec")
    assert (codec["kind"], codec["class"], codec["latent_channels"]) == ("codec", "UnshuffleCodec", 4)
    for part in ("codec", "stage1"):
        run = tmp_path / part
        run.mkdir()
        (run / "model").symlink_to(tiny_model / part)
        assert model_info(run)["kind"] == "training run"
    assert model_info("embedded")["parameters"] > 18_000_000
    with pytest.raises(CtgridError, match="nowhere"):
        model_info(tmp_path / "nowhere")


def test_one_hash_stands_for_all_files(tiny_model: Path) -> None:
    """Of a part or of the whole; a single file has its own."""
    stage = model_info(tiny_model / "stage1")
    files = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (tiny_model / "stage1").iterdir()}
    assert stage["files"] == {name: files[name] for name in stage["files"]} and len(stage["files"]) >= 2
    listing = "".join(f"{stage['files'][name]}  {name}\n" for name in sorted(stage["files"]))
    assert stage["sha256"] == hashlib.sha256(listing.encode()).hexdigest() == digest_of(stage["files"])


def test_a_config_that_names_nonsense_is_no_codec(tmp_path: Path) -> None:
    """What a file says its class is may be anything; the error is one of checkpoints."""
    for text in ('{"_class_name": ["UnshuffleCodec"]}', '{"_class_name": {}}', "[1]", "{"):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(CtgridError):
            model_info(tmp_path)
