"""Checkpoints: every way in, what is inferred, and refusals."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.stages.networks.dit import DiT
from ctgrid.stages.weights.load import load_dit

CONFIG: dict[str, Any] = {
    "latent_size": 16,
    "in_channels": 4,
    "patch_size": 2,
    "width": 48,
    "depth": 2,
    "heads": 3,
    "mlp_ratio": 2.0,
}


def awake(seed: int = 0, **overrides: Any) -> DiT:
    """Build a small DiT with no zero weights."""
    generator = torch.Generator().manual_seed(seed)
    model = DiT(**{**CONFIG, **overrides})
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=generator)
    return model.eval()


def answer(model: DiT) -> Tensor:
    """Run a model on a fixed input."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, model.in_channels, 16, 16, generator=generator)
    with torch.no_grad():
        return model(x, torch.tensor([400]), condition=x if model.condition_channels else None)


@pytest.mark.parametrize(("stage", "report"), [("stage1", "depth_major"), ("stage2", "2d")])
def test_golden_checkpoints(golden_dir: Path, stage: str, report: str) -> None:
    """Config from shapes and metadata; the table is recognised, and kept."""
    model = load_dit(golden_dir / f"{stage}.safetensors")
    table = load_file(golden_dir / f"{stage}.safetensors")["model.pos_embed"]
    assert model.positions_report == model.config.positions == report
    assert torch.equal(model.pos_embed, table)
    assert not model.training
    config = model.config
    assert (config.width, config.depth, config.heads, config.latent_size) == (96, 3, 4, 32)
    assert config.condition_channels == (0 if stage == "stage1" else 4)
    assert config.learned_variance


def test_ema_is_preferred_and_arguments_are_read(tmp_path: Path) -> None:
    """A training checkpoint with its argparse Namespace gives the averaged weights, and the heads."""
    model, ema = awake(0), awake(1)
    path = tmp_path / "0400000.pt"
    content = {
        "model": {f"module.{key}": value for key, value in model.state_dict().items()},
        "ema": ema.state_dict(),
        "opt": {"state": {}},
        "args": argparse.Namespace(num_heads=3),
    }
    torch.save(content, path)
    assert torch.equal(answer(load_dit(path)), answer(ema))
    del content["ema"]
    torch.save(content, path)
    assert torch.equal(answer(load_dit(path)), answer(model))


def test_half_precision_is_widened(tmp_path: Path) -> None:
    """A float16 checkpoint runs in float32, its table still recognised."""
    state = {f"model.{key}": value for key, value in awake().half().state_dict().items()}
    save_file(state, tmp_path / "half.safetensors", metadata={"heads": "3"})
    model = load_dit(tmp_path / "half.safetensors")
    assert {p.dtype for p in model.state_dict().values()} == {torch.float32}
    assert model.positions_report == "grid"


def test_a_foreign_table_is_kept_and_reported(tmp_path: Path) -> None:
    """A learned table is none of the three, and wins all the same."""
    model = awake()
    model.pos_embed += torch.linspace(0, 1, 48)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    loaded = load_dit(tmp_path / "model.pt", heads=3)
    assert loaded.positions_report == "unknown"
    assert torch.equal(answer(loaded), answer(model))


def test_folder(tmp_path: Path) -> None:
    """What save_pretrained wrote comes back, with its report."""
    model = awake(positions="depth_major")
    model.save_pretrained(tmp_path / "stage1")
    loaded = load_dit(tmp_path / "stage1")
    assert torch.equal(answer(loaded), answer(model))
    assert loaded.positions_report == "depth_major"
    assert not loaded.training


def test_files_that_are_no_dit(tmp_path: Path) -> None:
    """Lists, other networks, missing and superfluous keys, wrong shapes, heads that nobody recorded."""
    path = tmp_path / "model.pt"
    state = awake().state_dict()

    def refused(content: Any, message: str) -> None:
        torch.save(content, path)
        with pytest.raises(CtgridError, match=message):
            load_dit(path)

    refused([1, 2], "holds a list, not a state dict")
    refused({"conv.weight": torch.zeros(1)}, "not a DiT checkpoint; give|so this is not a DiT")
    refused({}, "among its 0 tensors")
    refused(state, r"heads of a DiT of width 48 are not recorded; pass --heads \(heads= in Python\)")

    def changed(change: dict[str, Any], heads: Any = 3, without: str = "nothing") -> dict[str, Any]:
        kept = {name: tensor for name, tensor in state.items() if without not in name}
        return {"model": kept | change, "config": {"heads": heads}}

    refused(changed({}, heads=5), r"width 48 must be a multiple of heads 5 \(recorded in the checkpoint\)")
    refused(changed({}, heads="many"), "records 'many' as its number of heads")
    refused(changed({}, heads=0), "must be a multiple of heads 0")
    refused(changed({"extra": torch.zeros(1)}), r"1 superfluous \(extra\)")
    refused(changed({}, without="adaLN"), r"6 missing \(blocks.0.adaLN_modulation.1.weight, .*, …\)")
    qkv = "blocks.1.attn.qkv.bias"
    refused(changed({qkv: torch.zeros(3)}), rf"1 of another shape \({qkv} \(3,\) not \(144,\)\)")
    refused(changed({qkv: torch.full((144,), torch.nan)}), f"{qkv} holds values that are not finite")
    refused(changed({qkv: torch.zeros(144, dtype=torch.int64)}), f"{qkv} holds int64, not weights")
    refused(changed({}, without="fc1"), "published key names: it lacks 'blocks.0.mlp.fc1.weight'")
    refused(changed({"final_layer.linear.weight": torch.zeros(20, 48)}), "4 channels in and 5 out fit no DiT")
    refused(changed({"final_layer.linear.weight": torch.zeros(21, 48)}), "21 outputs and patches of 2 x 2")
    refused(changed({"x_embedder.proj.weight": torch.zeros(48, 16)}), "must be .width, channels, patch, patch.")
    refused(changed({"x_embedder.proj.weight": torch.zeros(48, 4, 2, 4)}), "patches of 2 x 4")
    refused(changed({"pos_embed": torch.zeros(1, 63, 48)}), r"pos_embed is \(1, 63, 48\), not a table")
    refused(changed({"pos_embed": torch.zeros(1, 64, 24)}), r"pos_embed \(1, 64, 24\) not \(1, 64, 48\)")
    refused(changed({}, without="pos_embed"), "has no pos_embed, and no latent_size")


def test_either_set_of_weights_can_be_had(tmp_path: Path) -> None:
    """By name; one that is not there is refused, with those that are."""
    model, ema = awake(0), awake(1)
    path = tmp_path / "0400000.pt"
    torch.save({"model": model.state_dict(), "ema": ema.state_dict(), "args": {"heads": 3}}, path)
    assert torch.equal(answer(load_dit(path, weights="model")), answer(model))
    assert torch.equal(answer(load_dit(path, weights="ema")), answer(ema))
    torch.save({"model": model.state_dict(), "ema": {"shadow_params": [], "decay": 0.9}, "args": {"heads": 3}}, path)
    assert torch.equal(answer(load_dit(path)), answer(model))
    with pytest.raises(CtgridError, match="has no 'ema' weights, it holds model"):
        load_dit(path, weights="ema")


def test_loaded_weights_do_not_depend_on_the_file(tmp_path: Path) -> None:
    """The file may change or go once the network is loaded."""
    model = awake()
    path = tmp_path / "model.pt"
    torch.save(model.state_dict(), path)
    loaded = load_dit(path, heads=3)
    path.write_bytes(b"\xff" * path.stat().st_size)
    path.unlink()
    assert torch.equal(answer(loaded), answer(model))
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_a_run_and_a_weights_file_mean_their_folder(tmp_path: Path) -> None:
    """RUN has a config of its own, the recipe; absolute z is not in the shapes, but in the config beside."""
    model = awake(absolute_z=True, cells_per_side=4)
    model.save_pretrained(tmp_path / "run" / "model")
    (tmp_path / "run" / "config.json").write_text('{"kind": "stage1"}', encoding="utf-8")
    file = tmp_path / "run" / "model" / "diffusion_pytorch_model.safetensors"
    for path in (tmp_path / "run", tmp_path / "run" / "model", file):
        assert load_dit(path).config.absolute_z


def test_what_is_asked_for_may_not_contradict_a_config(tmp_path: Path) -> None:
    """Heads and cells of our own folders are known."""
    awake().save_pretrained(tmp_path)
    assert load_dit(tmp_path, heads=3, cells_per_side=4).config.heads == 3
    with pytest.raises(CtgridError, match="says heads 3, so 6 cannot be asked for"):
        load_dit(tmp_path, heads=6)
    with pytest.raises(CtgridError, match="a model folder holds one set of weights"):
        load_dit(tmp_path, weights="model")


def test_folders_that_hold_no_model(tmp_path: Path) -> None:
    """Empty, without weights, of another class, an impossible config; a run that is not ready; a whole model."""

    def refused(message: str, path: Path = tmp_path) -> None:
        with pytest.raises(CtgridError, match=message) as caught:
            load_dit(path)
        assert "\n" not in str(caught.value)

    refused("no config.json in this folder; give a model folder")
    torch.save({}, tmp_path / "0400000.pt")
    refused(r"no config.json in this folder; give one of its files \(0400000.pt\)")
    config = tmp_path / "config.json"
    for text, message in (
        ("{", "config.json is not JSON"),
        ("[]", "holds a list, expected a JSON object"),
        ("{}", "its _class_name is 'none', expected DiT or"),
        ('{"_class_name": "DiT"}', "no weights in this folder"),
        ('{"_class_name": "DiT", "depth": "3"}', "depth must be int, got '3'"),
        ('{"_class_name": "DiT", "depth": true}', "depth must be int, got True"),
        ('{"_class_name": "DiT", "width": 0}', "width must be positive, got 0"),
        ('{"_class_name": "DiT", "colour": 1}', "'colour' is no argument of this version's DiT"),
    ):
        config.write_text(text, encoding="utf-8")
        refused(message)
    awake().save_pretrained(tmp_path)
    config.write_text(config.read_text(encoding="utf-8").replace('"depth": 2', '"depth": 900000000'), encoding="utf-8")
    refused("says 900000000 blocks, the weights hold 2")
    run = tmp_path / "run"
    awake().save_pretrained(run / "checkpoints" / "step_00000007" / "model")
    refused("this run has not published a model yet; its newest checkpoint is .*step_00000007", run)
    awake().save_pretrained(tmp_path / "whole" / "stage1")
    refused("a whole model; name one of its stages, such as .*stage1", tmp_path / "whole")


def test_shards_and_variants(tmp_path: Path) -> None:
    """Large models come in several files with an index, and in half precision under another name."""
    model = awake()
    model.save_pretrained(tmp_path)
    (file,) = tmp_path.glob("*.safetensors")
    tensors, homes = load_file(file), dict[str, str]()
    file.unlink()
    for part, names in enumerate((list(tensors)[::2], list(tensors)[1::2]), 1):
        homes |= dict.fromkeys(names, f"{file.stem}-{part:05d}-of-00002.safetensors")
        save_file({name: tensors[name] for name in names}, tmp_path / homes[names[0]])
    index = tmp_path / f"{file.name}.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": homes}), encoding="utf-8")
    assert torch.equal(answer(load_dit(tmp_path)), answer(model))
    whole = index.read_text(encoding="utf-8")
    index.write_text(whole.replace("model-00001", "../model-00001"), encoding="utf-8")
    with pytest.raises(CtgridError, match="is not in its folder; the weights are incomplete"):
        load_dit(tmp_path)
    index.write_text('{"weight_map": 3}', encoding="utf-8")
    with pytest.raises(CtgridError, match="has no 'weight_map'"):
        load_dit(tmp_path)
    variant = tmp_path / "variant"
    model.half().save_pretrained(variant)
    (variant / file.name).rename(variant / f"{file.stem}.fp16.safetensors")
    assert load_dit(variant).positions_report == "grid"


def test_weights_missing_from_a_folder_are_not_made_up(tmp_path: Path) -> None:
    """A folder whose file lacks a tensor is refused, not filled with random numbers."""
    awake().save_pretrained(tmp_path)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    state = load_file(file)
    del state["blocks.1.mlp.fc2.weight"]
    save_file(state, file)
    with pytest.raises(CtgridError, match=r"1 missing \(blocks.1.mlp.fc2.weight\)"):
        load_dit(tmp_path)
