"""Latents that a store keeps: used where they fit, never where they do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ctgrid.base.draws import generator_for
from ctgrid.base.errors import CtgridError
from ctgrid.methods.training.inputs import Inputs, grid_task, refine_task
from ctgrid.methods.training.recipes import GridRecipe, RefineRecipe
from ctgrid.methods.training.stored_latents import CellLatents
from ctgrid.stages.codecs.codecs import Codec
from ctgrid.stages.latents.stored import write_latents

from .stores import SIZES, grid_recipe, opened

Read = Callable[[Path], Any]


def test_stored_latents_are_used_where_they_fit(
    make_store: Callable[..., Any], codec: Codec, tiny_model: Path, tmp_path: Path
) -> None:
    """They are the latents that would be made; poses and whole grids need the images."""
    store = make_store(tmp_path / "x.zarr", "a", "b", size=64, slices=24)
    recipes = [grid_recipe(tiny_model, **c) for c in ({}, {"variants": 2}, {"cell_encoding": "grid"})]
    before = grid_task(recipes[0], Inputs(opened(store, recipes[0]), Path("unused"), 5))
    write_latents(store, codec)
    tasks = [grid_task(recipe, Inputs(opened(store, recipe), Path("unused"), 5)) for recipe in recipes]
    assert [isinstance(task.coarse, CellLatents) for task in tasks] == [True, False, False]
    drawn, made = (task.example(generator_for(4))["grid"] for task in (tasks[0], before))
    assert drawn.shape == (4, 8, 8)
    assert torch.allclose(drawn, before.encoded(made[None])[0], atol=0.01 * float(drawn.abs().max()))
    refine = RefineRecipe(codec=str(tiny_model / "codec"), **SIZES)
    example = refine_task(refine, Inputs(opened(store, refine), Path("unused"), 5)).example(generator_for(5))
    assert "latent" in example and "slice" not in example


@pytest.mark.parametrize("damage", ["stale", "missing"])
def test_latents_that_do_not_fit_are_never_used(
    damage: str, make_store: Callable[..., Any], codec: Codec, tiny_model: Path, tmp_path: Path
) -> None:
    """Nor passed over in silence; those of another codec are no latents of this one."""
    import zarr

    store = make_store(tmp_path / "x.zarr", "a", "b", size=64, slices=24)
    write_latents(store, codec, ("coarse",), ["a"] if damage == "missing" else None)
    zarr.open_array(store.path / "b" / "coarse", mode="r+")[0, 0, 0] += 1
    recipe = grid_recipe(tiny_model)
    with pytest.raises(CtgridError, match=f"{damage} for 1 .*ctgrid latents, or remove them with --clear"):
        grid_task(recipe, Inputs(opened(store, recipe), Path("unused"), 5))
    other = GridRecipe(**{**recipe.model_dump(), "codec": "embedded"})
    task = grid_task(other, Inputs(opened(store, other), Path("unused"), 5))
    assert not isinstance(task.coarse, CellLatents)
