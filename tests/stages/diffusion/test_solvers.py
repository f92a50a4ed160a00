"""One reverse step of each solver, against what it must do where the network is never wrong."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ctgrid.stages.diffusion.schedule import LINEAR, Schedule
from ctgrid.stages.diffusion.solvers import Ddim, Ddpm, DpmSolver, Solver

STEPS = 8
LEVELS = LINEAR.respace(STEPS, "snr")
KINDS = [Ddim, Ddpm, DpmSolver]


def drawn(seed: int) -> Tensor:
    """Draw seeded noise (2, 3, 4, 4)."""
    return torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def level(index: int) -> Tensor:
    """Return a step for both samples."""
    return torch.full((2,), index)


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_step_lands_on_the_estimate_of_x0(kind: type[Solver]) -> None:
    clean, noise = drawn(0), drawn(1)
    solver = kind(LEVELS, "epsilon")  # type: ignore[call-arg]
    x = LEVELS.q_sample(clean, level(0), noise)
    torch.testing.assert_close(solver.step(x, noise, 0, lambda: drawn(2)), clean, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [Ddim, DpmSolver])
def test_a_network_that_knows_the_noise_is_followed_down_to_the_level_below(kind: type[Solver]) -> None:
    """Whatever the step: both solvers are exact where x0 and noise do not change on the way."""
    clean, noise = drawn(0), drawn(1)
    solver = kind(LEVELS, "epsilon")  # type: ignore[call-arg]
    x = LEVELS.q_sample(clean, level(STEPS - 1), noise)
    for index in reversed(range(1, STEPS)):
        x = solver.step(x, noise, index, lambda: drawn(2))
        torch.testing.assert_close(x, LEVELS.q_sample(clean, level(index - 1), noise), rtol=0, atol=1e-5)


@pytest.mark.parametrize("index", [1, STEPS - 1])
def test_ddpm_draws_from_the_posterior(index: int) -> None:
    """Mean and spread are those of q(x_(t-1) | x_t, x0), or of a learned variance at its upper end, β."""
    clean, noise, fresh = drawn(0), drawn(1), drawn(2)
    x, solver = LEVELS.q_sample(clean, level(index), noise), Ddpm(LEVELS, "epsilon")
    mean = LEVELS.posterior_mean(clean, x, level(index))
    plain = solver.step(x, noise, index, lambda: fresh)
    expected = mean + (0.5 * LEVELS.posterior_log_variance(level(index), x)).exp() * fresh
    torch.testing.assert_close(plain, expected, rtol=0, atol=1e-5)
    widest = solver.step(x, torch.cat([noise, torch.ones_like(noise)], dim=1), index, lambda: fresh)
    torch.testing.assert_close(widest, mean + LEVELS.betas[index].sqrt() * fresh, rtol=0, atol=1e-5)


def test_dpm_is_of_second_order() -> None:
    """Where x0 drifts evenly in λ, two steps are nearer to the exact flow than two of first order."""

    def walk(schedule: Schedule, forget: bool) -> Tensor:
        solver = DpmSolver(schedule, "x0")
        x = torch.ones(1, 1, 1, 1, dtype=torch.float64)
        for index in reversed(range(1, len(schedule))):
            estimate = torch.full_like(x, solver.lambdas[index])
            x = solver.step(x, estimate, index, lambda: drawn(0))
            solver.before = None if forget else solver.before
        return x

    ends = torch.linspace(100, 900, 401).round().long()
    exact = walk(LINEAR.at(ends), forget=False)
    coarse = LINEAR.at(ends[::50])
    assert (walk(coarse, forget=False) - exact).abs() < 0.3 * (walk(coarse, forget=True) - exact).abs()
