"""Conversion: published and stock checkpoints to folders of ours, for either stage and any latent size."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import all_settings
from ctgrid.runs.models.settings import ConversionSettings
from ctgrid.stages.models.facts import StageFacts
from ctgrid.stages.networks.dit import DiT
from ctgrid.stages.networks.positions import position_table
from ctgrid.stages.weights.convert import convert
from ctgrid.stages.weights.datasets import DATASETS
from ctgrid.stages.weights.load import load_dit

WIDTH, HEADS, CLASSES = 48, 3, 5


def network(stage: int = 1, seed: int = 0, **config: Any) -> DiT:
    """Build a small DiT as the published ones are, with no zero weights."""
    sizes = {"latent_size": 16, "in_channels": 4, "patch_size": 2, "width": WIDTH, "depth": 2, "heads": HEADS}
    stages = {1: {"cells_per_side": 4}, 2: {"cells_per_side": 1, "condition_channels": 4, "positions": "2d"}}
    model = DiT(**sizes | stages[stage] | config)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=generator)
    return model.eval()


def published(path: Path, model: DiT, ema: DiT | None = None, **arguments: Any) -> Path:
    """Save a checkpoint as GriDiT's training script does."""
    state = model.state_dict()
    optimizer = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-4}]}
    ema_state = (ema or model).state_dict()
    args = argparse.Namespace(model="DiT-S/2", image_size=128, num_heads=HEADS, vae="ema", **arguments)
    torch.save({"model": state, "ema": ema_state, "opt": optimizer, "args": args}, path)
    return path


def stock(path: Path, model: DiT) -> tuple[Path, Tensor]:
    """Save a bare state dict as stock DiT's, with its class table; return that as well."""
    classes = torch.randn(CLASSES + 1, WIDTH, generator=torch.Generator().manual_seed(9))
    state = {**model.state_dict(), "y_embedder.embedding_table.weight": classes}
    torch.save({name: state[name] for name in sorted(state, reverse=True)}, path)
    return path, classes


def answer(model: DiT, condition: Tensor | None = None) -> Tensor:
    """Run a model on a fixed input."""
    side = model.latent_size
    x = torch.randn(2, 4, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model(x, torch.tensor([3, 700]), condition=condition)


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
@pytest.mark.parametrize("form", ["training", "bare"])
def test_converted_golden_checkpoints_answer_as_published(
    golden_dir: Path, tmp_path: Path, stage: str, form: str
) -> None:
    """The published networks in the published files (goal 1e-4 relative)."""
    golden = load_file(golden_dir / f"{stage}.safetensors")
    state = {name.removeprefix("model."): tensor for name, tensor in golden.items() if name.startswith("model.")}
    wrapped = {f"module.{name}": torch.zeros_like(tensor) for name, tensor in state.items()}
    training = {"model": wrapped, "ema": state, "opt": {}, "args": argparse.Namespace(image_size=256)}
    torch.save(training if form == "training" else state, tmp_path / "0400000.pt")
    made = convert(tmp_path / "0400000.pt", tmp_path / "out")
    model = load_dit(tmp_path / "out")
    with torch.no_grad():
        out = model(golden["x"], golden["t"], condition=golden.get("y"))
    assert (out - golden["out"]).abs().max() <= 2e-6 * golden["out"].abs().max()
    expected = {"stage1": ("depth_major", 1), "stage2": ("2d", 2)}[stage]
    assert (
        (model.positions_report, made.checkpoint.stage)
        == (made.checkpoint.positions, made.checkpoint.stage)
        == expected
    )


def test_the_facts_are_those_of_the_published_models(tmp_path: Path) -> None:
    """Noise prediction, replacement, size from the latent; K from the positions, or the enlargement on record."""
    first = convert(published(tmp_path / "1.pt", network(cells_per_side=2)), tmp_path / "s1")
    expected = StageFacts(size=128, k=2, protocol="generatect", orientation="PLS")
    assert first.facts == StageFacts.read(tmp_path / "s1") == expected
    assert "orientation PLS" in first.checkpoint.decisions["facts"]
    assert (first.facts.prediction, first.facts.conditioning, first.facts.cell_encoding) == (
        "epsilon",
        "replace",
        "grid",
    )
    second = convert(published(tmp_path / "2.pt", network(2), sr_scale=2), tmp_path / "s2")
    assert StageFacts.read(tmp_path / "s2") == expected
    assert second.checkpoint.config["cells_per_side"] == 1
    plain = published(tmp_path / "3.pt", network(positions="2d"))
    assert convert(plain, tmp_path / "s3").facts.k == 4
    assert convert(plain, tmp_path / "s4", k=2).checkpoint.config["cells_per_side"] == 2
    with pytest.raises(CtgridError, match="was trained on grids of 2 x 2 cells, so leave --k 4 out"):
        convert(tmp_path / "1.pt", tmp_path / "s5", k=4)


@pytest.mark.parametrize(
    ("dataset", "cells", "positions", "latent", "scale", "expected"),
    [
        ("sky", 4, "depth_major", 16, 2, (64, 4, 2)),
        ("taichi", 4, "grid", 16, 2, (64, 4, 2)),
        ("taichi", 8, "depth_major", 16, 4, (64, 8, 4)),
        ("taichi", 2, "depth_major", 16, 1, (64, 2, 1)),
        ("minecraft", 8, "2d", 32, 2, (64, 8, 2)),
    ],
)
def test_published_models_of_video(
    tmp_path: Path, dataset: str, cells: int, positions: str, latent: int, scale: int, expected: tuple[int, int, int]
) -> None:
    """Grids of the paper's sizes over frames of half or a quarter of it, in colour; both stages agree."""
    grids = network(cells_per_side=cells, positions=positions, latent_size=latent)
    first = convert(published(tmp_path / "1.pt", grids), tmp_path / "s1", dataset=dataset)
    frames = published(tmp_path / "2.pt", network(2, latent_size=expected[0] // 8), sr_scale=scale)
    second = convert(frames, tmp_path / "s2", dataset=dataset)
    size, k, factor = expected
    assert first.facts == second.facts == StageFacts.read(tmp_path / "s1")
    assert first.facts == StageFacts(size=size, k=k, scale=factor, content="video", channels=3)
    assert first.facts.grid_size == latent * 8 and first.checkpoint.config["cells_per_side"] == k
    assert f"{k} x {k} cells of {size // factor} pixels" in first.checkpoint.decisions["facts"]


def test_data_sets_of_the_command_are_those_there_are() -> None:
    """The command lists them by name, without the second that importing networks takes."""
    assert set(all_settings(ConversionSettings)["dataset"].choices or ()) == set(DATASETS)


def test_the_data_set_is_told_by_what_is_recorded(tmp_path: Path) -> None:
    """By the folder of training, by frames that no other model has; said in the decisions, and else CT-RATE."""
    trained = convert(published(tmp_path / "1.pt", network(), data_path="/data/taichi_grids"), tmp_path / "s1")
    assert (trained.facts.content, trained.facts.size) == ("video", 64)
    assert "(Taichi-HD: told by the folder it was trained on)" in trained.checkpoint.decisions["facts"]
    frames = convert(published(tmp_path / "2.pt", network(2, latent_size=32), sr_scale=2), tmp_path / "s2")
    assert (frames.facts.size, frames.facts.k, frames.facts.scale, frames.facts.channels) == (256, 4, 2, 3)
    nothing = convert(published(tmp_path / "3.pt", network()), tmp_path / "s3")
    assert nothing.facts.content == "ct" and "the video models need --dataset" in nothing.checkpoint.decisions["facts"]
    with pytest.raises(CtgridError, match="4 times as large as its frames, so K is a multiple of 4, not 2"):
        convert(published(tmp_path / "4.pt", network(cells_per_side=2)), tmp_path / "s4", dataset="minecraft")
    with pytest.raises(CtgridError, match="so leave --dataset sky out"):
        convert(tmp_path / "s1", tmp_path / "s5", dataset="sky")
    with pytest.raises(CtgridError, match="unknown published data set 'skyy'"):
        convert(tmp_path / "1.pt", tmp_path / "s5", dataset="skyy")


def test_ema_or_model(tmp_path: Path) -> None:
    """The averaged weights unless the others are asked for; which were taken is on record."""
    model, ema = network(seed=0), network(seed=1)
    path = published(tmp_path / "0400000.pt", model, ema)
    made = convert(path, tmp_path / "ema")
    assert torch.equal(answer(load_dit(tmp_path / "ema")), answer(ema))
    assert made.describe()["decisions"]["weights"] == "ema of ema, model"
    convert(path, tmp_path / "raw", weights="model")
    assert torch.equal(answer(load_dit(tmp_path / "raw")), answer(model))


def test_stock_dit_starts_either_stage(tmp_path: Path) -> None:
    """Both answer as stock DiT does without a class, stage 2 whatever its condition; its own positions stay."""
    model = network(positions="2d")
    path, classes = stock(tmp_path / "DiT-XL-2-256x256.pt", model)
    convert(path, tmp_path / "s1", heads=HEADS)
    made = convert(path, tmp_path / "s2", stage=2, heads=HEADS)
    assert "'no class' (of 6 rows)" in made.checkpoint.decisions["class_branch"]
    first, second = load_dit(tmp_path / "s1"), load_dit(tmp_path / "s2")
    assert (first.cells_per_side, second.cells_per_side, second.condition_channels) == (4, 1, 4)
    assert first.positions_report == second.positions_report == "2d"
    weight = second.x_embedder.proj.weight
    assert torch.equal(weight[:, :4], model.x_embedder.proj.weight) and weight[:, 4:].abs().max() == 0
    model.t_embedder.register_forward_hook(lambda module, inputs, output: output + classes[-1])
    expected = answer(model)
    torch.testing.assert_close(answer(first), expected)
    torch.testing.assert_close(answer(second, torch.randn(2, 4, 16, 16)), expected)
    assert StageFacts.read(tmp_path / "s2").k == 4


@pytest.mark.parametrize(("positions", "k"), [("2d", 4), ("grid", 4), ("depth_major", 2)])
def test_another_latent_size_gets_its_own_table(tmp_path: Path, positions: str, k: int) -> None:
    """Of the same mode; nothing else changes."""
    model = network(positions=positions, cells_per_side=k)
    made = convert(published(tmp_path / "m.pt", model), tmp_path / "out", latent_size=32)
    loaded = load_dit(tmp_path / "out")
    assert torch.equal(loaded.pos_embed[0], position_table(WIDTH, 16, k, positions))  # type: ignore[arg-type]
    assert (loaded.positions_report, loaded.latent_size, made.facts.size) == (positions, 32, 256)
    assert "made for 32 x 32 latents" in made.checkpoint.decisions["positions"]
    for name, tensor in model.state_dict().items():
        assert name == "pos_embed" or torch.equal(loaded.state_dict()[name], tensor), name
    assert answer(loaded).isfinite().all()


def test_positions_may_be_chosen(tmp_path: Path) -> None:
    """Stock weights for a grid with its 3-D table, which the published code meant to use."""
    path, _ = stock(tmp_path / "stock.pt", network(positions="2d"))
    convert(path, tmp_path / "out", positions="grid", heads=HEADS)
    loaded = load_dit(tmp_path / "out")
    assert loaded.positions_report == loaded.config.positions == "grid"
    assert torch.equal(loaded.pos_embed[0], position_table(WIDTH, 8, 4, "grid"))


def test_a_foreign_table_is_kept_but_not_resized(tmp_path: Path) -> None:
    """None of the three: said so, written as it is, refused at another size unless a mode is chosen."""
    model = network()
    model.pos_embed += torch.linspace(0, 1, WIDTH)
    path = published(tmp_path / "m.pt", model)
    made = convert(path, tmp_path / "out")
    assert made.checkpoint.positions == load_dit(tmp_path / "out").positions_report == "unknown"
    assert torch.equal(answer(load_dit(tmp_path / "out")), answer(model))
    with pytest.raises(CtgridError, match="none of grid, depth_major, 2d, so it cannot be made for latents of 32"):
        convert(path, tmp_path / "other", latent_size=32)
    convert(path, tmp_path / "other", latent_size=32, positions="grid")
    with pytest.raises(CtgridError, match="latents of 18 cannot be divided into patches of 2 in 4 x 4 cells"):
        convert(path, tmp_path / "odd", latent_size=18, positions="grid")


@pytest.mark.parametrize(("dtype", "half"), [(torch.float32, True), (torch.bfloat16, False), (torch.float16, False)])
def test_number_formats(tmp_path: Path, dtype: torch.dtype, half: bool) -> None:
    """Kept, or 16 bits on request; the position table stays exact, so that only the weights are rounded."""
    model = network()
    exact = answer(model)
    state = {n: t if n == "pos_embed" else t.to(dtype) for n, t in model.state_dict().items()}
    torch.save({"model": state, "args": {"num_heads": HEADS}}, tmp_path / "m.pt")
    made = convert(tmp_path / "m.pt", tmp_path / "out", half=half)
    written = load_file(tmp_path / "out" / "diffusion_pytorch_model.safetensors")
    assert torch.equal(written.pop("pos_embed"), model.pos_embed)
    assert {tensor.dtype for tensor in written.values()} == {made.dtype} == {torch.float16 if half else dtype}
    assert 0 < (answer(load_dit(tmp_path / "out")) - exact).abs().max() < 0.05 * exact.abs().max()


def test_weights_beyond_half_precision_are_refused(tmp_path: Path) -> None:
    """Rather than written as infinite."""
    model = network()
    model.final_layer.linear.bias.data[0] = 1e5
    path = published(tmp_path / "m.pt", model)
    with pytest.raises(CtgridError, match="values beyond the range of float16; convert without --half"):
        convert(path, tmp_path / "out", half=True)
    assert not (tmp_path / "out").exists()


def test_our_own_folders_keep_their_facts(tmp_path: Path) -> None:
    """Including those that no shape tells; size and latent go together."""
    model = network(absolute_z=True, learned_variance=False)
    model.save_pretrained(tmp_path / "run" / "model")
    assert convert(tmp_path / "run", tmp_path / "bare").facts.orientation == "LPS"  # from before orientations were kept
    facts = StageFacts("v", 128, 4, 33, "cell", "clean", 250.0, 301.5, orientation="ARI", stride=2.0)
    (tmp_path / "run" / "model" / "stage.json").write_text(json.dumps(facts.as_dict()), encoding="utf-8")
    made = convert(tmp_path / "run", tmp_path / "out")
    assert StageFacts.read(tmp_path / "out") == made.facts == facts
    assert load_dit(tmp_path / "out").absolute_z
    assert convert(tmp_path / "run", tmp_path / "big", latent_size=32).facts.size == 256
    second = convert(tmp_path / "run", tmp_path / "second", stage=2)
    assert not load_dit(tmp_path / "second").absolute_z and second.facts.prediction == "v"


def test_only_an_older_conversion_is_replaced(tmp_path: Path) -> None:
    """With leave; a folder that holds anything else, or the source itself, is left alone, and so is the source."""
    path = published(tmp_path / "m.pt", network(seed=0))
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    other = published(tmp_path / "other.pt", network(seed=1))
    out = tmp_path / "out"
    convert(path, out)
    (out / "run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CtgridError, match="out exists; pass --overwrite"):
        convert(other, out)
    convert(other, out, overwrite=True)
    assert torch.equal(answer(load_dit(out)), answer(network(seed=1)))
    assert (out / "run.json").read_text(encoding="utf-8") == "{}"
    with pytest.raises(CtgridError, match="is the input"):
        convert(out, out, overwrite=True)
    (out / "thesis.tex").write_text("", encoding="utf-8")
    with pytest.raises(CtgridError, match=r"holds thesis.tex, so it is not replaced"):
        convert(path, out, overwrite=True)
    with pytest.raises(CtgridError, match="is a file, not a folder"):
        convert(path, other)
    with pytest.raises(CtgridError, match="does not exist; create it first"):
        convert(path, tmp_path / "nowhere" / "out")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.pt", "other.pt", "out"]
