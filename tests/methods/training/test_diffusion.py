"""What both stages share: timesteps, noising by cell, and saving with the facts that sampling needs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ctgrid.base.draws import generator_for, normal
from ctgrid.methods.training.diffusion import diffusion_loss, draw_timestep, save_stage
from ctgrid.methods.training.recipes import RefineRecipe
from ctgrid.stages.diffusion.schedule import LINEAR
from ctgrid.stages.models.bundle import load_stage
from ctgrid.stages.models.facts import StageFacts
from ctgrid.stages.networks.dit import DiT

from .examples import ABSOLUTE, Answers


def test_shifted_timesteps_follow_the_formula() -> None:
    """t = s u / (1 + (s - 1) u) of uniform u: the median of s = 4 is 0.8 of the schedule."""
    drawn = torch.stack([draw_timestep(generator_for(i), 4.0) for i in range(2000)]).double()
    assert drawn.min() >= 0 and drawn.max() <= len(LINEAR) - 1
    for share in (0.1, 0.5, 0.9):
        wanted = 4 * share / (1 + 3 * share) * len(LINEAR)
        assert abs(float(drawn.quantile(share)) - wanted) < 0.05 * len(LINEAR)
    assert draw_timestep(generator_for(1)) == draw_timestep(generator_for(1), 1.0)


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_the_right_answer_has_no_loss_and_the_network_sees_the_noised_latent(prediction: str) -> None:
    """q(x_t | x_0) by its formula; another answer costs its squared error."""
    latent, noise = normal((2, 4, 8, 8), generator_for(1)), normal((2, 4, 8, 8), generator_for(2))
    timestep = torch.tensor([50, 900])
    kept = LINEAR.alphas_cumprod[timestep].float().view(2, 1, 1, 1)
    right = noise if prediction == "epsilon" else kept.sqrt() * noise - (1 - kept).sqrt() * latent
    network = Answers(right)
    recipe = RefineRecipe(prediction=prediction, size=64)
    assert float(diffusion_loss(network, recipe, latent, noise, timestep)["loss"]) == pytest.approx(0, abs=1e-9)
    torch.testing.assert_close(network.asked["noisy"], kept.sqrt() * latent + (1 - kept).sqrt() * noise)
    assert torch.equal(network.asked["timestep"], timestep)
    off = diffusion_loss(Answers(right + 0.5), recipe, latent, noise, timestep, weight=torch.ones(2, 1, 8, 8))
    assert float(off["mse"]) == pytest.approx(0.25, rel=1e-5)


def test_cells_have_levels_of_their_own_and_only_some_count() -> None:
    latent, noise = torch.zeros(1, 4, 8, 8), torch.ones(1, 4, 8, 8)
    levels = torch.full((1, 1, 8, 8), 999)
    levels[..., :4] = -1  # known: clean
    weight = (levels >= 0).float()
    network = Answers(torch.where(levels >= 0, noise, 99.0 * noise))
    told = torch.tensor([[-1, 999, -1, 999]])
    terms = diffusion_loss(network, RefineRecipe(size=64), latent, noise, told, levels=levels, weight=weight)
    assert float(terms["loss"]) == pytest.approx(0, abs=1e-9) and torch.equal(network.asked["timestep"], told)
    assert not network.asked["noisy"][..., :4].any() and (network.asked["noisy"][..., 4:] > 0.9).all()


def test_a_stage_is_saved_with_what_sampling_must_know(tmp_path: Path) -> None:
    network = DiT(latent_size=8, in_channels=4, **ABSOLUTE)
    save_stage(network, tmp_path / "s", StageFacts(size=64, k=4, prediction="v"))
    assert json.loads((tmp_path / "s" / "stage.json").read_text())["prediction"] == "v"
    again = load_stage(tmp_path / "s")
    assert all(
        torch.equal(a, b) for a, b in zip(again.state_dict().values(), network.state_dict().values(), strict=True)
    )
