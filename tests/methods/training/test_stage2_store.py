"""Stage 2 from a store: degraded and encoded in whole batches, as one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ctgrid.base.draws import generator_for, integer
from ctgrid.data.degrade import Way, degrade, draw_degradation, enlarge, shrink
from ctgrid.data.store import Store
from ctgrid.methods.training.inputs import Inputs, refine_task
from ctgrid.methods.training.recipes import RefineRecipe
from ctgrid.stages.codecs.codecs import Codec

from .stores import NAMES, SIZES, opened

Read = Callable[[Path], Any]


@pytest.mark.parametrize("way", ["ctgrid", "published"])
def test_stage_2_degrades_a_batch_as_one_by_one(way: Way, store: Store, codec: Codec, tiny_model: Path) -> None:
    """Conditions are the codec's latents of the enlarged, degraded coarse slice of the same slice."""
    recipe = RefineRecipe(codec=str(tiny_model / "codec"), degradation=way, **SIZES)
    task = refine_task(recipe, Inputs(opened(store, recipe), Path("unused"), 5))
    batch = [task.example(generator_for(2, i)) for i in range(4)]
    stacked = {key: torch.stack([example[key] for example in batch]) for key in batch[0]}
    for i, example in enumerate(batch):
        generator = generator_for(2, i)
        volume = store.volume(NAMES[integer(0, 4, generator)])
        row = integer(0, 24, generator)
        image = torch.from_numpy(volume.read_slices(row)).float() / 1000
        assert torch.equal(example["slice"], image)
        small = torch.from_numpy(volume.read_coarse(row)).float() / 1000
        coarse = small[None].clamp(-1, 1) if way == "ctgrid" else shrink(image[None], 4, way)
        condition = degrade(enlarge(coarse, 4)[0], draw_degradation(generator), way)
        assert torch.allclose(task.condition(stacked)[i], codec.encode(condition[None])[0], atol=1e-3)
        assert torch.allclose(task.latent(stacked)[i], codec.encode(image[None])[0], atol=1e-5)


def test_conditions_may_pass_through_the_codec_first(store: Store, codec: Codec, tiny_model: Path) -> None:
    """As stage 1's output does; those drawn so, and no others."""
    recipe = RefineRecipe(codec=str(tiny_model / "codec"), codec_share=0.5, **SIZES)
    task = refine_task(recipe, Inputs(opened(store, recipe), Path("unused"), 5))
    batch = [task.example(generator_for(3, i)) for i in range(8)]
    stacked = {key: torch.stack([example[key] for example in batch]) for key in batch[0]}
    direct = task.condition({**stacked, "through_codec": torch.zeros(8, dtype=torch.bool)})
    different = (task.condition(stacked) - direct).abs().amax(dim=(1, 2, 3)) > 1e-6
    assert torch.equal(different, stacked["through_codec"]) and 0 < int(different.sum()) < 8
