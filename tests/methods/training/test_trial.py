"""How long a step takes here: timed on small networks, or told by products where that would take too long."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ctgrid.methods.training import trial
from ctgrid.methods.training.config import load_config
from ctgrid.methods.training.optimisation import Optimisation
from ctgrid.methods.training.plan import plan
from ctgrid.methods.training.recipes import GridRecipe, RefineRecipe
from ctgrid.methods.training.trial import TRIAL_FLOPS, Trial, depth_of, product_rate, shrunk, updated_part


def test_time_is_measured_where_no_rate_is_given(recipe: Callable[..., Path]) -> None:
    result = plan(load_config(recipe("stage2"), "stage2"))
    assert result.seconds_per_step is not None and 0 < result.seconds_per_step < 60
    assert "timed on" in result.basis


def test_a_number_format_that_crawls_is_not_waited_for(
    recipe: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "product_rate", lambda device, dtype: 1e5)
    result = plan(load_config(recipe("stage2"), "stage2"))
    assert result.seconds_per_step == pytest.approx(result.flops_per_step / 1e5, rel=1e-3)
    assert "products of matrices timed on this" in result.basis


def test_trials_are_on_latents_so_small_that_they_are_quick(tiny_model: Path) -> None:
    """Halved while sizes allow it; arithmetic falls by four each time; grids then need no codec."""
    codec = str(tiny_model / "codec")
    part = GridRecipe(codec=codec, size=1024, k=4, network={"patch_size": 2}, cell_encoding="grid")
    small, flops = shrunk(part, 16.5 * TRIAL_FLOPS)
    assert small.size == 64 * 2 and flops == pytest.approx(16.5 * TRIAL_FLOPS / 64)
    assert isinstance(small, GridRecipe) and small.cell_encoding == "cell"
    fine = RefineRecipe(codec=codec, size=256, network={"patch_size": 2})
    assert shrunk(fine, TRIAL_FLOPS)[0].size == 256 and shrunk(fine, 1e30)[0].size == 64
    film = GridRecipe(codec=codec, size=128, k=8, scale=2, network={"patch_size": 2})  # cells of 64 pixels to 32, 16
    assert shrunk(film, 15 * TRIAL_FLOPS)[0].size == 32
    assert depth_of(fine) == 28 and depth_of(RefineRecipe(network={"depth": 3})) == 3


def test_an_update_is_timed_on_a_part_of_the_weights(
    recipe: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And continued to all of them, as it takes as long for each number; Muon's depends on the matrices."""
    network = torch.nn.Sequential(*(torch.nn.Linear(10, 10) for _ in range(4)))
    monkeypatch.setattr(trial, "PART", 150)
    settings = Optimisation(steps=1, batch_size=1)
    part = updated_part(network, settings)
    assert [p is q for p, q in zip(part.parameters(), network.parameters(), strict=False)] == [True] * 3
    assert updated_part(network, settings.model_copy(update={"optimizer": "muon"})) is network
    timed: list[int] = []

    def best(self: Trial) -> tuple[float, float]:
        timed.append(self.parameters)
        return 0.0, 1.0

    monkeypatch.setattr(Trial, "best", best)
    result = plan(load_config(recipe("stage2"), "stage2"))
    assert result.seconds_per_step == pytest.approx(result.parameters / timed[0], rel=1e-3)
    assert timed[0] < result.parameters


def test_products_have_a_rate() -> None:
    assert 1e6 < product_rate(torch.device("cpu"), torch.float32) < 1e15
