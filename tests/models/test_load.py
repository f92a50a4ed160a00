"""Checkpoints: every way in, what is inferred, and refusals."""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ctgrid.errors import CtgridError
from ctgrid.models.dit import DiT
from ctgrid.models.load import load_dit

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


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"learned_variance": False, "in_channels": 3},
        {"condition_channels": 4, "cells_per_side": 1},
        {"condition_channels": 4, "learned_variance": False, "cells_per_side": 2},
        {"positions": "depth_major"},
        {"positions": "2d"},
    ],
)
def test_config_is_read_off_the_shapes(tmp_path: Path, overrides: dict[str, Any]) -> None:
    """A bare state dict gives back every argument but the heads, and the same answers."""
    model = awake(**overrides)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    loaded = load_dit(tmp_path / "model.pt", heads=3)
    for name in CONFIG | {
        "condition_channels": 0,
        "learned_variance": 0,
        "positions": 0,
        "cells_per_side": 0,
    }:
        assert loaded.config[name] == model.config[name], name
    assert torch.equal(answer(loaded), answer(model))


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
    assert loaded.positions_report == "none of grid, depth_major, 2d"
    assert torch.equal(answer(loaded), answer(model))


def test_class_branch_becomes_the_unconditional_prediction(tmp_path: Path) -> None:
    """Stock DiT adds a class embedding to that of the timestep; ours adds the one of "no class" for good."""
    model = awake()
    classes = torch.randn(11, 48, generator=torch.Generator().manual_seed(3))
    state = {**model.state_dict(), "y_embedder.embedding_table.weight": classes}
    torch.save(state, tmp_path / "stock.pt")
    loaded = load_dit(tmp_path / "stock.pt", heads=3)
    model.t_embedder.register_forward_hook(lambda module, inputs, output: output + classes[-1])
    torch.testing.assert_close(answer(loaded), answer(model))


def test_folder(tmp_path: Path) -> None:
    """What save_pretrained wrote comes back, with its report."""
    model = awake(positions="depth_major")
    model.save_pretrained(tmp_path / "stage1")
    loaded = load_dit(tmp_path / "stage1")
    assert torch.equal(answer(loaded), answer(model))
    assert loaded.positions_report == "depth_major"
    assert not loaded.training


class Hostile:
    """Unpickling it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        """Ask the unpickler to touch the path."""
        return Path.touch, (self.path,)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    """The error says why, and nothing was run."""
    torch.save({"model": Hostile(tmp_path / "touched")}, tmp_path / "bad.pt")
    with pytest.raises(CtgridError, match=r"bad.pt: cannot be read safely"):
        load_dit(tmp_path / "bad.pt")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Hostile(tmp_path / "touched"), protocol=2))
    with pytest.raises(CtgridError, match=r"bare.pt: cannot be read safely"):
        load_dit(tmp_path / "bare.pt")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.pt", None, "no such file or folder"),
        ("noise.pt", b"not a checkpoint", "cannot be read safely"),
        ("noise.safetensors", b"not a checkpoint", "not a readable safetensors file"),
        ("empty.pt", b"", "cannot be read safely"),
        ("model.onnx", b"x", "unknown kind of file '.onnx'"),
    ],
)
def test_unreadable_files(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    """Each gives one line that names the file."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CtgridError, match=message) as caught:
        load_dit(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


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
    refused(state, "heads of a DiT of width 48 are not recorded; pass heads=")
    state = {**state, "config": {}}
    refused({"model": state, "config": {"heads": 5}}, "width 48 must be a multiple of heads 5")
    config = {"config": {"heads": 3}}
    refused({"model": {**state, "extra": torch.zeros(1)}, **config}, "superfluous: extra")
    refused({"model": {**state, "blocks.1.attn.qkv.bias": torch.zeros(3)}, **config}, "shapes do not fit")
    refused({"model": {k: v for k, v in state.items() if "fc1" not in k}, **config}, "published key names")
    odd = {**state, "final_layer.linear.weight": torch.zeros(20, 48)}
    refused({"model": odd, **config}, "4 channels in and 5 out fit no DiT")


def test_folders_that_hold_no_model(tmp_path: Path) -> None:
    """No config; a config without weights."""
    with pytest.raises(CtgridError, match=r"no config.json in this folder"):
        load_dit(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CtgridError, match="cannot load a DiT from this folder"):
        load_dit(tmp_path)
