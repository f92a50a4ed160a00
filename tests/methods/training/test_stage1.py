"""What stage 1 shows its network and what it counts as loss, with networks that are given the answers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ctgrid.base.draws import generator_for, normal
from ctgrid.methods.training.inputs import bone_share
from ctgrid.methods.training.recipes import GridRecipe
from ctgrid.methods.training.stage1 import GridTask
from ctgrid.scan.grid import to_grid
from ctgrid.stages.codecs.codecs import Codec
from ctgrid.stages.models.facts import StageFacts

from .examples import ABSOLUTE, Answers, batch_of


def grid_task(codec: Codec, **changes: Any) -> GridTask:
    """Stage 1 on two volumes of 30 slices; every grid has known cells."""
    options = {"network": ABSOLUTE, "size": 64, "cell_encoding": "cell", "unknown_share": 0.0, "strides": (1, 2)}
    recipe = GridRecipe(**(options | changes))
    shape = (2, 30, 4, 2, 2) if recipe.cell_encoding == "cell" else (2, 30, 1, 16, 16)
    return GridTask(recipe, normal(shape, generator_for(1)).clamp(-1, 1), codec, StageFacts())


def test_no_window_is_drawn_from_thick_slices(codec: Codec) -> None:
    """Keyframes still are."""
    recipe = GridRecipe(network=ABSOLUTE, size=64, cell_encoding="cell", window_share=0.5, keyframe_share=0.5)
    coarse = torch.stack([torch.full((30, 4, 2, 2), float(number)) for number in range(3)])
    task = GridTask(recipe, coarse, codec, StageFacts(), thick=[0, 2])
    seen: dict[bool, set[float]] = {True: set(), False: set()}
    for i in range(80):
        example = task.example(generator_for(i))
        seen[bool(example["known"].any())].add(float(example["grid"].mean()))
    assert seen == {True: {1.0}, False: {0.0, 1.0, 2.0}}


@pytest.mark.parametrize("cell_encoding", ["cell", "grid"])
def test_grids_are_slices_of_one_volume_in_order(cell_encoding: str, codec: Codec) -> None:
    """With the indices that absolute z is told."""
    task = grid_task(codec, cell_encoding=cell_encoding)
    for i in range(10):
        example = task.example(generator_for(3, i))
        index = example["z_index"].long()
        assert index.float().equal(example["z_index"])
        assert any(torch.equal(example["grid"], to_grid(volume[index])[0]) for volume in task.coarse)
        assert example["noise"].shape == (4, 8, 8)
        assert example["timestep"].dtype == torch.int64 and 0 <= example["timestep"] < 1000


def test_known_cells_are_clean_and_do_not_count(codec: Codec) -> None:
    """They carry timestep -1 and their own latent; whatever the network says of them is no loss."""
    task = grid_task(codec)
    batch = batch_of(task, 6)
    known = batch["known"].view(6, 1, 4, 4).repeat_interleave(2, -1).repeat_interleave(2, -2)
    network = Answers(torch.where(known, torch.full_like(batch["noise"], 99.0), batch["noise"]))
    terms = task.loss(network, batch)
    assert float(terms["loss"]) == pytest.approx(0, abs=1e-10)
    assert network.asked["z_index"].equal(batch["z_index"])
    expected = torch.where(batch["known"], -1, batch["timestep"][:, None])
    assert network.asked["timestep"].equal(expected)
    shown = known.expand_as(batch["grid"])
    assert network.asked["noisy"][shown].equal(batch["grid"][shown])
    assert not torch.isclose(network.asked["noisy"][~shown], batch["grid"][~shown]).all()
    wrong = Answers(torch.where(known, batch["noise"], batch["noise"] + 1))
    assert float(task.loss(wrong, batch)["loss"]) == pytest.approx(1, rel=1e-5)


def test_without_known_cells_one_timestep_serves_the_grid(codec: Codec) -> None:
    """As in the paper, whose networks know no other; relative positions get no z."""
    relative = {name: value for name, value in ABSOLUTE.items() if name != "absolute_z"}
    task = grid_task(codec, unknown_share=1.0, network=relative)
    batch = batch_of(task, 3)
    network = Answers(batch["noise"])
    assert float(task.loss(network, batch)["loss"]) == 0
    assert set(network.asked) == {"noisy", "timestep"}
    assert network.asked["timestep"].equal(batch["timestep"])


def test_whole_grids_are_encoded_while_training(codec: Codec) -> None:
    """The network sees the codec's latent of the grid image, noised."""
    task = grid_task(codec, cell_encoding="grid", unknown_share=1.0)
    batch = batch_of(task, 2)
    batch["timestep"] = torch.zeros(2, dtype=torch.int64)
    network = Answers(batch["noise"])
    task.loss(network, batch)
    expected = codec.encode(batch["grid"]) * (1 - 1e-4) ** 0.5 + batch["noise"] * 1e-2
    assert torch.allclose(network.asked["noisy"], expected, atol=1e-4)


@pytest.mark.parametrize("window_share", [1.0, 0.0])
def test_bone_counts_more(codec: Codec, window_share: float) -> None:
    """An error where bone is weighs as the recipe says, of 1 elsewhere, whether some cells are known or none."""
    shares = {"network": ABSOLUTE, "size": 64, "cell_encoding": "cell", "window_share": window_share}
    recipe = GridRecipe(**shares, bone_weight=3.0, prediction="epsilon")
    coarse = normal((1, 30, 4, 2, 2), generator_for(1))
    bone = torch.zeros(1, 30, 1, 2, 2)
    bone[..., 0, 0] = 1.0
    task = GridTask(recipe, coarse, codec, StageFacts(), bone=bone)
    batch = batch_of(task, 3)
    error = torch.zeros_like(batch["noise"])
    error[..., ::2, ::2] = 1.0  # the first pixel of every cell's 2 x 2
    there = float(task.loss(Answers(batch["noise"] + error), batch)["loss"])
    assert there == pytest.approx(4 / 7)
    assert float(task.loss(Answers(batch["noise"] + (1 - error)), batch)["loss"]) == pytest.approx(3 / 7)


@pytest.mark.parametrize("knows", [True, False])
def test_channels_weigh_what_they_are_told_to(codec: Codec, knows: bool) -> None:
    """An error in a channel counts by its weight, whether some cells are known or none."""
    shares = {"window_share": 1.0} if knows else {"unknown_share": 1.0}
    recipe = GridRecipe(network=ABSOLUTE, size=64, cell_encoding="cell", prediction="epsilon", **shares)
    coarse = normal((1, 30, 4, 2, 2), generator_for(1))
    task = GridTask(recipe, coarse, codec, StageFacts(), channels=torch.tensor([0.5, 2.5, 1.0, 0.0]))
    batch = batch_of(task, 3)
    losses = []
    for channel in range(4):
        error = torch.zeros_like(batch["noise"])
        error[:, channel] = 1.0
        losses.append(float(task.loss(Answers(batch["noise"] + error), batch)["loss"]))
    assert losses == pytest.approx([0.125, 0.625, 0.25, 0.0])


def test_where_bone_is_follows_the_slices() -> None:
    """A quarter of a latent pixel is enough; shares of less count as much less."""
    coarse = torch.full((1, 2, 8, 16), -1.0)
    coarse[0, 1, :4, :4], coarse[0, 1, :4, 8:10] = 0.3, 0.3
    assert bone_share(coarse, 8)[0, :, 0].tolist() == [[[0, 0]], [[1, 0.5]]]
