"""The published format: what is wrapped around a network's tensors, and what their shapes tell of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.stages.networks.dit import DiT
from ctgrid.stages.weights.load import load_dit
from ctgrid.stages.weights.published import dtype_of, fold_class_branch, infer_config, network_tensors

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


def test_class_branch_becomes_the_unconditional_prediction(tmp_path: Path) -> None:
    """Stock DiT adds a class embedding to that of the timestep; ours adds the one of "no class" for good."""
    model = awake()
    classes = torch.randn(11, 48, generator=torch.Generator().manual_seed(3))
    state = {**model.state_dict(), "y_embedder.embedding_table.weight": classes}
    torch.save(state, tmp_path / "stock.pt")
    loaded = load_dit(tmp_path / "stock.pt", heads=3)
    model.t_embedder.register_forward_hook(lambda module, inputs, output: output + classes[-1])
    torch.testing.assert_close(answer(loaded), answer(model))


def test_wrappers_are_taken_off(tmp_path: Path) -> None:
    """DDP, compiled networks, compiled or sharded blocks, and an attribute that holds the network."""
    model = awake()
    for number, wrap in enumerate(
        (
            lambda name: f"module.{name}",
            lambda name: f"_orig_mod.module.{name}",
            lambda name: f"module._orig_mod.model.{name}",
            lambda name: name.replace("blocks.0.", "blocks.0._orig_mod."),
            lambda name: name.replace("blocks.1.", "_fsdp_wrapped_module.blocks.1._fsdp_wrapped_module."),
            lambda name: name.replace("blocks.1.", "blocks.1._checkpoint_wrapped_module."),
        )
    ):
        path = tmp_path / f"{number}.pt"
        torch.save({"state_dict": {wrap(name): tensor for name, tensor in model.state_dict().items()}}, path)
        assert torch.equal(answer(load_dit(path, heads=3)), answer(model)), number


@pytest.mark.parametrize(("recorded", "heads"), [({"model": "DiT-S/2"}, 6), ({"model": "XL/2"}, 6), ({}, 6)])
def test_heads_come_from_the_name_or_the_width(tmp_path: Path, recorded: dict[str, Any], heads: int) -> None:
    """A name of another width is not believed."""
    model = awake(width=384, depth=1, heads=6)
    torch.save({"model": model.state_dict(), "args": argparse.Namespace(**recorded)}, tmp_path / "m.pt")
    assert load_dit(tmp_path / "m.pt").config.heads == heads


PATH = Path("m.pt")


def test_a_network_without_learned_variance_is_told_from_one_with_a_condition() -> None:
    """As many channels out as in: half a condition, unless the positions are those of a grid."""
    for changes, wanted in (
        ({"cells_per_side": 4, "learned_variance": False}, (4, 0, False)),
        ({"condition_channels": 4, "cells_per_side": 1, "positions": "2d"}, (4, 4, True)),
        ({"condition_channels": 4, "cells_per_side": 1, "learned_variance": False}, (4, 4, False)),
    ):
        config, _ = infer_config(PATH, awake(**changes).state_dict(), {}, heads=3)
        assert tuple(config[n] for n in ("in_channels", "condition_channels", "learned_variance")) == wanted
    flat = awake(in_channels=4, positions="2d", cells_per_side=1, learned_variance=False).state_dict()
    assert infer_config(PATH, flat, {})[0]["condition_channels"] == 2
    assert infer_config(PATH, flat, {"unconditional": True})[0]["condition_channels"] == 0


@pytest.mark.parametrize(
    ("metadata", "size"),
    [({"latent_size": 24}, 24), ({"input_size": 16}, 16), ({"image_size": 256}, 32), ({"input_size": 8.0}, 8)],
)
def test_without_a_table_the_metadata_tell_the_size(metadata: dict[str, Any], size: int) -> None:
    bare = {name: tensor for name, tensor in awake().state_dict().items() if name != "pos_embed"}
    assert infer_config(PATH, bare, metadata, heads=3)[0]["latent_size"] == size
    for wrong in ({}, {"latent_size": "large"}, {"image_size": 100}, {"latent_size": 0}, {"image_size": "256"}):
        with pytest.raises(CtgridError, match="has no pos_embed, and no latent_size in its metadata"):
            infer_config(PATH, bare, wrong, heads=3)


def test_heads_that_cannot_be_are_refused() -> None:
    state = awake().state_dict()
    assert infer_config(PATH, state, {})[0]["heads"] is None
    assert infer_config(PATH, state, {"num_heads": "6"})[0]["heads"] == 6
    assert infer_config(PATH, state, {"num_heads": 6}, heads=4)[1] == "given"
    for metadata, heads, words in (
        ({"num_heads": "many"}, None, "records 'many' as its number of heads; pass --heads"),
        ({"num_heads": True}, None, "records 'True'"),
        ({"num_heads": 5}, None, "width 48 must be a multiple of heads 5 "),
        ({}, 0, "must be a multiple of heads 0"),
    ):
        with pytest.raises(CtgridError, match=words):
            infer_config(PATH, state, metadata, heads)


def test_shapes_that_fit_no_transformer_are_refused() -> None:
    state = awake().state_dict()
    patches, output = state["x_embedder.proj.weight"], state["final_layer.linear.weight"]
    for change, words in (
        ({"x_embedder.proj.weight": patches[0]}, "must be .width, channels, patch, patch."),
        ({"x_embedder.proj.weight": patches[..., :1]}, "patches of 2 x 1 do not fit"),
        ({"final_layer.linear.weight": output[:-1]}, "do not fit"),
        ({"final_layer.linear.weight": output[:12]}, "4 channels in and 3 out fit no DiT"),
        ({"pos_embed": torch.zeros(1, 63, 48)}, "not a table of a square image's tokens"),
    ):
        with pytest.raises(CtgridError, match=words):
            infer_config(PATH, state | change, {})
    with pytest.raises(CtgridError, match=r"lacks 'blocks.0.mlp.fc1.weight'"):
        infer_config(PATH, {n: t for n, t in state.items() if n != "blocks.0.mlp.fc1.weight"}, {})


def test_the_row_of_no_class_is_the_last_or_the_mean_where_none_was_dropped() -> None:
    state = awake().state_dict()
    classes = torch.arange(3 * 48, dtype=torch.float16).view(3, 48)
    whole: dict[str, Tensor] = {**state, "y_embedder.embedding_table.weight": classes}
    for metadata, row in (({}, classes[-1]), ({"class_dropout_prob": 0}, classes.float().mean(0))):
        folded, how = fold_class_branch(whole, metadata)
        torch.testing.assert_close(folded["t_embedder.mlp.2.bias"], state["t_embedder.mlp.2.bias"] + row.float())
        assert set(folded) == set(state) and "of 3 rows" in how
    assert fold_class_branch(state, {})[1] == "none"
    odd, how = fold_class_branch({**state, "y_embedder.embedding_table.weight": classes[:, :5]}, {})
    assert how == "dropped" and torch.equal(odd["t_embedder.mlp.2.bias"], state["t_embedder.mlp.2.bias"])


def test_what_is_no_network_or_no_weights_is_refused() -> None:
    with pytest.raises(CtgridError, match=r"no key 'x_embedder.proj.weight' among its 1 tensors \(a, …\)"):
        network_tensors(PATH, {"a": torch.zeros(1)})
    with pytest.raises(CtgridError, match="among its 0 tensors, so this"):
        network_tensors(PATH, {})
    state = {**awake().state_dict(), "extra": torch.zeros(2, dtype=torch.int8)}
    with pytest.raises(CtgridError, match="extra holds int8, not weights"):
        network_tensors(PATH, state)


def test_the_number_format_is_what_all_share() -> None:
    half = {"a": torch.zeros(1, dtype=torch.float16), "pos_embed": torch.zeros(1)}
    assert dtype_of(half) == torch.float16
    assert dtype_of({**half, "b": torch.zeros(1, dtype=torch.bfloat16)}) == torch.float32
    assert dtype_of({"a": torch.zeros(1, dtype=torch.float64)}) == torch.float32
