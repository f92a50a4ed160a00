"""The whole that cached latents depend on: no more, so that they are kept, and no less."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from ctgrid.methods.training.cache import DRAWING_KEYS, MODEL_KEYS, identity
from ctgrid.methods.training.recipes import GridRecipe, RefineRecipe
from ctgrid.methods.training.volumes import TrainingData

DATA = TrainingData([], {"a": "1" * 32})


def of(recipe: Any, data: TrainingData = DATA, codec: str = "c", seed: int = 0, compute: Any = torch.float32) -> Any:
    kept: Any = SimpleNamespace(identity=codec)
    return identity(recipe, data, kept, seed, compute)


def test_what_is_trained_and_how_grids_are_drawn_makes_no_difference() -> None:
    plain = of(GridRecipe(size=64))
    others = {"prediction": "v", "strides": (1, 2), "keyframe_share": 0.5, "sampler": "ddpm", "timestep_shift": 3.0}
    assert set(others) <= MODEL_KEYS | DRAWING_KEYS
    assert of(GridRecipe(size=64, network={"depth": 3}, start="x", **others)) == plain
    assert set(GridRecipe.model_fields) >= (MODEL_KEYS | DRAWING_KEYS)


def test_all_else_does() -> None:
    plain = of(GridRecipe(size=64))
    found = [
        of(GridRecipe(size=128)),
        of(GridRecipe(size=64, fov_mm=300.0)),
        of(GridRecipe(size=64, variants=2)),
        of(GridRecipe(size=64), codec="d"),
        of(GridRecipe(size=64), seed=1),
        of(GridRecipe(size=64), data=TrainingData([], {"a": "2" * 32})),
        of(GridRecipe(size=64), compute=torch.float16),
    ]
    assert plain not in found and all(found[i] != other for i in range(7) for other in found[i + 1 :])


def test_latents_of_before_there_was_a_choice_are_kept() -> None:
    """In bfloat16, by the own degradation, shrunk K times."""
    old = of(RefineRecipe(size=64), compute=torch.bfloat16)
    assert "compute" not in old and not {"degradation", "scale"} & set(old["recipe"])
    assert of(RefineRecipe(size=64, degradation="published"))["recipe"]["degradation"] == "published"
    assert of(RefineRecipe(size=64, scale=2))["recipe"]["scale"] == 2
