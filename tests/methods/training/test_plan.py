"""Plans: exact where sizes are exact, and near to what really happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ctgrid.base.devices import choose_device
from ctgrid.base.errors import CtgridError
from ctgrid.base.precision import choose_precision
from ctgrid.methods.training.config import TrainConfig, load_config
from ctgrid.methods.training.empty import empty_task
from ctgrid.methods.training.plan import foresee, imagine, plan
from ctgrid.methods.training.recipes import RefineRecipe
from ctgrid.methods.training.settled import settled
from ctgrid.stages.networks.dit import SIZES, build_dit

NETWORK = {"patch_size": 2, "width": 64, "depth": 3, "heads": 2, "learned_variance": False}


def config(batch: int = 4, network: dict[str, Any] = NETWORK, **optimisation: Any) -> TrainConfig:
    """A small stage 2."""
    return TrainConfig.model_validate(
        {
            "kind": "stage2",
            "optimisation": {"steps": 10, "batch_size": batch, **optimisation},
            "stage2": {"network": network, "size": 256},
        }
    )


@pytest.mark.parametrize("kind", ["codec", "codec-light", "stage1", "stage2", "detail"])
def test_every_embedded_recipe_can_be_imagined(kind: str) -> None:
    recipe = settled(load_config(f"embedded-{kind}"), choose_device())
    task = empty_task(recipe)
    found = imagine(task, recipe.optimisation, recipe.seed)
    parameters, flops, memory = found.parameters, found.flops, found.memory
    network = task.build()
    assert parameters == sum(p.numel() for p in network.parameters())
    assert memory["weights"] == pytest.approx(sum(t.nbytes for t in network.state_dict().values()) / 1e9, rel=0.01)
    assert memory["optimizer"] == pytest.approx(8 * parameters / 1e9)
    assert flops > 2 * parameters


def test_arithmetic_and_activations_grow_with_the_batch() -> None:
    few, many = (imagine(empty_task(config(batch)), config(batch).optimisation, 0) for batch in (2, 8))
    assert many.flops == pytest.approx(4 * few.flops, rel=0.01)
    assert 3 < many.memory["activations"] / few.memory["activations"] < 4.5


def test_micro_batches_and_recomputation_save_activations() -> None:
    def activations(**settings: Any) -> float:
        recipe = config(8, {**NETWORK, "depth": 8}, **settings)
        return imagine(empty_task(recipe), recipe.optimisation, 0).memory["activations"]

    assert activations(accumulate=4) < 0.5 * activations()
    assert activations(gradient_checkpointing=True) < 0.75 * activations()


def test_arithmetic_is_what_the_layers_add_up_to() -> None:
    """Three products of 2 n² in a step of a linear layer: forward, and two backward (but for the input's)."""
    layers = nn.Sequential(nn.Linear(32, 32, bias=False), nn.Linear(32, 32, bias=False))

    class Layers:
        def build(self) -> nn.Module:
            return layers

        def example(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
            return {"x": torch.zeros(32)}

        def loss(self, network: Any, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {"loss": network(batch["x"]).mean()}

        def save(self, network: Any, folder: Path) -> None:
            raise NotImplementedError

    flops = imagine(Layers(), config(4).optimisation, 0).flops
    assert flops == 4 * (2 * 32 * 32) * 5


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_attention_is_counted_in_any_number_format(precision: str) -> None:
    """Its products grow with the square of the tokens: 2 forward and 5 backward, which computes the scores again."""
    network = {**NETWORK, "width": 128, "heads": 2, "depth": 1, "patch_size": 2}
    small, large = (
        imagine(empty_task(recipe), recipe.optimisation, 0).flops
        for recipe in (
            config(1, {**network}, precision=precision).model_copy(
                update={"stage2": RefineRecipe.model_validate({"network": network, "size": size})}
            )
            for size in (128, 256)
        )
    )
    tokens = (128 // 16) ** 2
    quadratic = 7 * 2 * 128 * ((4 * tokens) ** 2 - 4 * tokens**2)
    assert large - 4 * small == pytest.approx(quadratic, rel=0.1)


@pytest.mark.parametrize("size", list(SIZES))
def test_named_sizes_have_their_parameters(size: str) -> None:
    with torch.device("meta"):
        wanted = sum(p.numel() for p in build_dit(f"{size}/2", latent_size=8, in_channels=8).parameters())
    width, depth, heads = SIZES[size]
    network = {"patch_size": 2, "width": width, "depth": depth, "heads": heads}
    recipe = config(1, network).model_copy(deep=True)
    task = empty_task(recipe)
    task_parameters = sum(p.numel() for p in _meta(task).parameters())
    assert abs(task_parameters - wanted) < 0.02 * wanted  # the embedded codec's condition adds channels


def _meta(task: Any) -> nn.Module:
    with torch.device("meta"):
        return task.build()


@pytest.mark.parametrize(("kind", "changes"), [("stage1", {"stage1.cell_encoding": "grid"}), ("stage2", {})])
def test_two_blocks_tell_of_many(recipe: Callable[..., Path], kind: Any, changes: dict[str, Any]) -> None:
    """As if the whole network had been gone through, also where the codec's own work needs the most memory."""
    for width, checkpointing in ((32, False), (96, True)):
        network = {f"{kind}.network.width": width, f"{kind}.network.depth": 6}
        settings = {"optimisation.gradient_checkpointing": checkpointing}
        deep = load_config(recipe(kind), kind, {**changes, **network, **settings})
        whole = imagine(empty_task(deep), deep.optimisation, deep.seed)
        told, block = foresee(deep)
        assert (told.parameters, told.flops) == (whole.parameters, pytest.approx(whole.flops))
        assert told.memory == pytest.approx(whole.memory, rel=0.05)
        assert 0 < 6 * block < told.flops


def test_a_plan_adds_up_and_follows_the_rate_it_is_given() -> None:
    result = plan(config(), flops_per_second=1e9)
    assert result.memory_gb == pytest.approx(sum(result.memory.values()), abs=0.005)
    assert result.seconds_per_step == pytest.approx(result.flops_per_step / 1e9, rel=1e-3)
    assert result.hours == pytest.approx(result.seconds_per_step * 10 / 3600, abs=1e-3)
    with pytest.raises(CtgridError, match="must be positive, got -1"):
        plan(config(), flops_per_second=-1)


def test_sharding_divides_what_is_kept() -> None:
    whole, shared = (plan(config(sharding=s), processes=4, flops_per_second=1e9) for s in ("none", "fsdp"))
    for part in ("weights", "gradients", "optimizer", "average"):
        assert shared.memory[part] == pytest.approx(whole.memory[part] / 4, abs=1e-3)
    assert shared.examples_per_step == 16


def test_a_plan_is_made_for_the_precision_that_training_would_decide_on(recipe: Callable[..., Path]) -> None:
    """For another machine, whose rate is given, bf16."""
    auto = load_config(recipe("codec"), "codec", {"optimisation.precision": "auto"})
    assert plan(auto).precision == choose_precision("auto", choose_device())
    assert plan(auto, flops_per_second=1e9).precision == "bf16"
    assert plan(config(), flops_per_second=1e9).precision == "no"


def test_recipes_extend_each_other(tmp_path: Path) -> None:
    base = load_config("ct-rate-stage1")
    other = load_config("ct-rate-stage1-2d")
    assert other.stage1 is not None and base.stage1 is not None
    assert other.stage1.network == {**base.stage1.network, "positions": "2d"}
    assert other.optimisation == base.optimisation
    (tmp_path / "a.yaml").write_text(f"extends: {tmp_path / 'b.yaml'}\n")
    (tmp_path / "b.yaml").write_text(f"extends: {tmp_path / 'a.yaml'}\n")
    with pytest.raises(CtgridError, match="in a circle"):
        load_config(tmp_path / "a.yaml")
