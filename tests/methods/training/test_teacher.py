"""Training by another model's estimates: which grids they are the targets of, and which models can teach a recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ctgrid.base.draws import generator_for, normal
from ctgrid.base.errors import CtgridError
from ctgrid.data.store import Store
from ctgrid.methods.training.inputs import Inputs, grid_task
from ctgrid.methods.training.recipes import GridRecipe
from ctgrid.methods.training.run import train
from ctgrid.methods.training.stage1 import GridTask
from ctgrid.methods.training.teacher import Teacher, teacher_of
from ctgrid.stages.codecs.codecs import load_codec
from ctgrid.stages.models.bundle import load_stage
from ctgrid.stages.models.facts import StageFacts
from ctgrid.stages.models.parts import digest_of_model

from .examples import Answers, batch_of
from .stores import NETWORK, grid_recipe, opened

FROM = 600


@pytest.fixture
def model(make_model: Callable[..., Path]) -> Path:
    """A model whose stage 1 estimates clean latents of the recipe's grids."""
    return make_model(prediction="x0", slices=24)


def recipe_for(model: Path, **changes: Any) -> GridRecipe:
    """Return a recipe of stage 1 that the model teaches, on its codec's latents."""
    options = {"network": NETWORK | {"absolute_z": True}, "prediction": "x0", "unknown_share": 0.5}
    return grid_recipe(model, **(options | {"taught_by": str(model)} | changes))


def test_targets_are_estimates_at_high_noise_where_nothing_is_known(model: Path) -> None:
    """Everywhere else they are the clean latents, and nothing is passed back to the teacher."""
    network = load_stage(model / "stage1")
    latent, noisy = normal((4, 4, 8, 8), generator_for(1)), normal((4, 4, 8, 8), generator_for(2))
    timestep = torch.tensor([FROM - 1, FROM, 999, 999])
    known = torch.zeros(4, 16, dtype=torch.bool)
    known[3, 5] = True
    inputs = {"z_index": torch.arange(16.0).repeat(4, 1)}
    target = Teacher(network, FROM).target(latent, timestep, known, inputs, noisy)
    estimate = network(noisy, timestep, **inputs)
    assert torch.equal(target[[0, 3]], latent[[0, 3]])
    assert torch.allclose(target[1:3], estimate[1:3], atol=1e-5) and not torch.allclose(target[1:3], latent[1:3])
    first = latent[:1]
    assert Teacher(network, FROM).target(first, timestep[:1], known[:1], inputs, noisy[:1]) is first


def test_a_task_s_loss_is_none_where_the_network_says_what_its_teacher_does(model: Path) -> None:
    """Though volumes hold something else; without a teacher that something is what counts."""
    recipe, codec = recipe_for(model), load_codec(str(model / "codec"))
    coarse = normal((2, 24, 4, 2, 2), generator_for(1))
    teacher = Teacher(load_stage(model / "stage1"), 0)
    task = GridTask(recipe, coarse, codec, StageFacts(), teacher=teacher)
    batch = batch_of(task, 12)
    free = ~batch["known"].any(dim=1)
    assert 0 < free.sum() < 12
    batch = {name: value[free] for name, value in batch.items()}
    seen = Answers(batch["noise"])
    task.loss(seen, batch)
    estimate = teacher.network(seen.asked["noisy"], batch["timestep"], z_index=batch["z_index"])
    assert float(task.loss(Answers(estimate), batch)["loss"]) == pytest.approx(0, abs=1e-8)
    alone = GridTask(recipe, coarse, codec, StageFacts())
    assert float(alone.loss(Answers(estimate), batch)["loss"]) > 0.1
    assert float(alone.loss(Answers(batch["grid"]), batch)["loss"]) == 0


def test_a_run_is_taught_and_resumes_exactly(
    scans: Path, model: Path, start: Callable[..., Path], log_of: Callable[[Path], object]
) -> None:
    """Its losses are others than without a teacher, from the first step on."""
    changes = {"slices": 24, "cell_encoding": "cell", "network": NETWORK | {"absolute_z": True}, "prediction": "x0"}
    alone = {f"stage1.{key}": value for key, value in changes.items()}
    taught = alone | {"stage1.taught_by": str(model), "stage1.taught_from": 0}
    whole = start("stage1", scans, "whole", changes=taught)
    start("stage1", scans, "parts", max_steps=3, changes=taught)
    parts = start("stage1", scans, "parts", resume=True, changes=taught)
    assert log_of(parts) == log_of(whole)
    assert log_of(start("stage1", scans, "alone", changes=alone)) != log_of(whole)


def test_a_run_s_record_says_which_model_taught(
    scans: Path, model: Path, recipe: Callable[..., Path], tmp_path: Path, few_examples: None
) -> None:
    """By a hash, as a name may be another model tomorrow; none where keyframes could be drawn and are not."""
    changes = {"codec": str(model / "codec"), "slices": 24, "cell_encoding": "cell", "prediction": "x0"}
    changes |= {"network": NETWORK | {"absolute_z": True}, "taught_by": str(model), "drawn_by": str(model)}
    overrides = {f"stage1.{key}": value for key, value in changes.items()}
    summary = train("stage1", recipe("stage1"), scans, tmp_path / "run", overrides=overrides, max_steps=1)
    assert summary["models"] == {"taught_by": digest_of_model(model)}


def test_a_store_s_grids_can_be_taught(store: Store, model: Path) -> None:
    recipe = recipe_for(model, taught_from=700)
    task = grid_task(recipe, Inputs(opened(store, recipe), Path("unused"), 5))
    assert task.teacher is not None and task.teacher.above == 700
    assert teacher_of(recipe_for(model, taught_by=None), task.codec) is None


@pytest.mark.parametrize(
    ("facts", "changes", "message"),
    [
        ({"prediction": "v"}, {}, "has prediction v, the recipe has x0"),
        ({"slices": 201}, {}, "has slices 201, the recipe has 24"),
        ({"cell_encoding": "grid"}, {}, "has cell_encoding grid, the recipe has cell"),
        ({}, {"network": NETWORK}, "has absolute_z True: set network.absolute_z likewise"),
    ],
)
def test_a_model_of_other_grids_cannot_teach(
    make_model: Callable[..., Path], facts: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    model = make_model(**({"prediction": "x0", "slices": 24} | facts))
    recipe = recipe_for(model, **changes)
    with pytest.raises(CtgridError, match=rf"stage1\.taught_by .*{message}"):
        teacher_of(recipe, load_codec(recipe.codec))


def test_a_model_of_other_latents_cannot_teach(model: Path) -> None:
    with pytest.raises(CtgridError, match=r"has another codec than .*: name its own"):
        teacher_of(recipe_for(model), load_codec("embedded"))


def test_a_model_that_is_not_there_cannot_teach(model: Path) -> None:
    with pytest.raises(CtgridError, match=r"stage1\.taught_by: .*: no such model folder"):
        teacher_of(recipe_for(model, taught_by=str(model / "nowhere")), load_codec(str(model / "codec")))
