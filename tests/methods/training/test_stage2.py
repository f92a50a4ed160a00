"""What stage 2 shows its network and what it counts as loss."""

from __future__ import annotations

import pytest
import torch

from ctgrid.base.draws import generator_for, normal
from ctgrid.methods.training.recipes import RefineRecipe
from ctgrid.methods.training.stage2 import RefineTask
from ctgrid.stages.codecs.codecs import Codec
from ctgrid.stages.models.facts import StageFacts

from .examples import ABSOLUTE, Answers, batch_of


def test_stage_2_sees_the_coarse_version_of_its_slice(codec: Codec) -> None:
    """One of the versions that belong to it, and the loss is that of the whole slice."""
    fine = normal((5, 4, 8, 8), generator_for(2)).half()
    coarse = fine[:, None] + torch.tensor([10.0, 20.0, 30.0]).view(1, 3, 1, 1, 1)
    recipe = RefineRecipe(network={**ABSOLUTE, "absolute_z": False}, size=64)
    task = RefineTask(recipe, fine, coarse, codec, StageFacts())
    batch = batch_of(task, 40)
    offset = (batch["condition"] - batch["latent"]).mean(dim=(1, 2, 3)).round()
    assert set(offset.tolist()) == {10, 20, 30}
    assert len({float(latent[0, 0, 0]) for latent in batch["latent"]}) == 5
    network = Answers(batch["noise"] + 0.5)
    assert float(task.loss(network, batch)["loss"]) == pytest.approx(0.25, rel=1e-5)
    assert network.asked["condition"].equal(batch["condition"])
