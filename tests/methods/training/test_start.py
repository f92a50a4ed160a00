"""Training that starts from weights: of the stock DiT, of published stages, of our own folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ctgrid.base.errors import CtgridError
from ctgrid.methods.training.checks import check_network
from ctgrid.methods.training.config import load_config
from ctgrid.methods.training.start import read_start
from ctgrid.stages.models.bundle import load_stage
from ctgrid.stages.networks.detail import DetailNet
from ctgrid.stages.networks.dit import DiT
from ctgrid.stages.weights.own import load_own

Run = Callable[..., Path]
SIZES = {"latent_size": 8, "in_channels": 4, "patch_size": 2, "width": 32, "depth": 1, "heads": 2}
LEARNED = {"learned_variance": True, "positions": "grid"}


def awake(**overrides: Any) -> DiT:
    """A DiT none of whose weights is zero or fresh."""
    model = DiT(**{**SIZES, **overrides})
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.05
    return model


def stock(path: Path, classes: int = 3, **overrides: Any) -> dict[str, Tensor]:
    """Write a checkpoint as the stock DiT's: 2-D positions, learned variance, a class branch."""
    tensors = dict(awake(cells_per_side=1, positions="2d", **overrides).state_dict())
    tensors["y_embedder.embedding_table.weight"] = torch.randn(classes + 1, SIZES["width"])
    torch.save(tensors, path)
    return tensors


@pytest.fixture
def shapes(recipe: Callable[..., Path], tiny_model: Path) -> Callable[..., nn.Module]:
    """The network of a tiny recipe, as shapes."""

    def build(kind: str, **network: Any) -> nn.Module:
        changes: dict[str, Any] = {f"{kind}.network.{name}": value for name, value in network.items()}
        changes[f"{kind}.codec"] = str(tiny_model / "codec")
        return check_network(load_config(recipe(kind), kind, changes))  # type: ignore[arg-type]

    return build


def filled(network: nn.Module, start: Any) -> dict[str, Tensor]:
    """The tensors of a network of these shapes after it was filled, NaN where nothing was put."""
    fresh = network.to_empty(device="cpu")
    for tensor in fresh.state_dict().values():
        tensor.fill_(float("nan"))
    start.fill(fresh)
    return dict(fresh.state_dict())


def test_stock_weights_fill_stage_1_and_leave_it_its_positions(shapes: Any, tmp_path: Path) -> None:
    tensors = stock(tmp_path / "DiT.pt")
    start = read_start("stage1", str(tmp_path / "DiT.pt"), shapes("stage1", absolute_z=False, **LEARNED))
    found = filled(shapes("stage1", absolute_z=False, **LEARNED), start)
    for name in ("x_embedder.proj.weight", "blocks.0.attn.qkv.weight", "final_layer.linear.bias"):
        assert found[name].equal(tensors[name])
    assert found["pos_embed"].isnan().all()
    assert (start.fresh, start.superfluous) == ((), ())
    assert "no class" in start.decisions["class_branch"]
    assert start.decisions["positions"] == "the recipe's table (grid); the weights were trained with: 2d"


def test_stock_weights_fill_half_of_stage_2s_patch_projection(shapes: Any, tmp_path: Path) -> None:
    tensors = stock(tmp_path / "DiT.pt")
    start = read_start("stage2", str(tmp_path / "DiT.pt"), shapes("stage2", **LEARNED))
    weight = filled(shapes("stage2", **LEARNED), start)["x_embedder.proj.weight"]
    assert weight[:, :4].equal(tensors["x_embedder.proj.weight"])
    assert not weight[:, 4:].any()
    assert "widened for the condition, whose half starts at zero" in start.line()


def test_what_the_weights_lack_stays_fresh_and_what_the_network_lacks_is_named(shapes: Any, tmp_path: Path) -> None:
    tensors = dict(awake(cells_per_side=1, condition_channels=4).state_dict())
    torch.save(tensors | {"extra.weight": torch.zeros(2)}, tmp_path / "stage2.pt")
    start = read_start("stage2", str(tmp_path / "stage2.pt"), shapes("stage2", skip=True, **LEARNED))
    assert start.fresh == ("shares.weight", "shares.bias")
    assert start.superfluous == ("extra.weight",)
    assert "2 left fresh (shares.weight, shares.bias), 1 not used (extra.weight)" in start.line()


@pytest.mark.parametrize(
    ("kind", "source", "message"),
    [
        ("stage1", {"in_channels": 8}, r"final_layer.linear.bias: \(64,\) there, \(32,\) here"),
        ("stage1", {"width": 48}, r"other shapes than the recipe's network, such as .*288.* there"),
        ("stage1", {"depth": 2}, "has depth 2, the recipe's network has 1"),
        ("stage1", {"condition_channels": 4}, "is a stage 2 and cannot become stage 1"),
    ],
)
def test_weights_of_other_sizes_are_refused(
    shapes: Any, tmp_path: Path, kind: Any, source: dict[str, Any], message: str
) -> None:
    awake(cells_per_side=1, positions="2d", **source).save_pretrained(tmp_path / "dit")
    with pytest.raises(CtgridError, match=rf"^{kind}\.start: .*{message}"):
        read_start(kind, str(tmp_path / "dit"), shapes(kind, absolute_z=False, **LEARNED))


def test_a_missing_file_and_a_diverged_one_are_refused(shapes: Any, tmp_path: Path) -> None:
    network = shapes("stage1", absolute_z=False, **LEARNED)
    with pytest.raises(CtgridError, match=r"^stage1\.start: .*nothing\.pt: no such"):
        read_start("stage1", str(tmp_path / "nothing.pt"), network)
    tensors = awake(cells_per_side=1).state_dict()
    tensors["blocks.0.mlp.fc1.bias"][0] = float("nan")
    torch.save(tensors, tmp_path / "bad.pt")
    with pytest.raises(CtgridError, match=r"blocks\.0\.mlp\.fc1\.bias holds values that are not finite"):
        read_start("stage1", str(tmp_path / "bad.pt"), network)


def test_a_run_starts_from_another_and_says_so(run: Run, weights_of: Any, tmp_path: Path) -> None:
    """Weights and their average are the other's before the first step; a whole model names its part."""
    first = run("stage1", "first")
    lines: list[str] = []
    still = {"optimisation.warmup_start": 1e-12, "optimisation.learning_rate": 1e-12, "stage1.start": str(first)}
    second = run("stage1", "second", changes=still, max_steps=1, notice=lines.append)
    before, after = (load_stage(folder / "model").state_dict() for folder in (first, second))
    assert all(torch.allclose(after[name], before[name], atol=1e-6) for name in before)
    assert len(lines) == 1
    assert lines[0].startswith(f"training starts from {first} (training run): ")
    record = json.loads((second / "start.json").read_text(encoding="utf-8"))
    assert record["files"][-1]["sha256"]
    assert record["filled"] == len(before) - 1


def test_a_run_goes_on_without_the_weights_it_started_from(run: Run, log_of: Any, tmp_path: Path) -> None:
    """Its checkpoint holds all; another start is another run."""
    first = run("stage1", "first", max_steps=1)
    changes = {"stage1.start": str(first)}
    whole = run("stage1", "whole", changes=changes)
    parts = run("stage1", "parts", changes=changes, max_steps=3)
    first.rename(tmp_path / "gone")
    run("stage1", "parts", changes=changes, resume=True)
    assert log_of(parts) == log_of(whole)
    assert (parts / "start.json").exists()
    with pytest.raises(CtgridError, match=r"cannot resume, the recipe differs in stage1\.start"):
        run("stage1", "parts", resume=True)


def test_a_failed_start_leaves_no_folder(run: Run, tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match="no such"):
        run("stage1", "out", changes={"stage1.start": str(tmp_path / "nothing.pt")})
    assert not (tmp_path / "out").exists()


def test_codec_and_detail_start_from_folders(
    run: Run, recipe: Callable[..., Path], detailed_model: Path, tmp_path: Path
) -> None:
    first = run("codec", "first", max_steps=1)
    start = read_start("codec", str(first), check_network(load_config(recipe("codec"), "codec")))
    assert start.fresh == () and len(start.tensors) > 4
    before = load_own(DetailNet, detailed_model / "detail", "detail network")
    keys = ("neighbours", "width", "inner_width", "blocks", "inner_blocks", "last_blocks")
    network = {f"detail.network.{key}": before.config[key] for key in keys}
    shapes = check_network(load_config(recipe("detail"), "detail", network))
    start = read_start("detail", str(detailed_model), shapes)  # the part of a whole model
    assert all(start.tensors[name].equal(tensor) for name, tensor in before.state_dict().items())
    other = check_network(load_config(recipe("detail"), "detail", network | {"detail.network.width": 12}))
    with pytest.raises(CtgridError, match=r"^detail\.start: .*other shapes than the recipe's network"):
        read_start("detail", str(detailed_model), other)
