"""The schedule: golden tables, and identities that hold for any schedule."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.stages.diffusion import CLEAN, Schedule
from ctgrid.stages.diffusion.known import cells_mask
from ctgrid.stages.diffusion.schedule import Prediction, Spacing
from ctgrid.stages.diffusion.solvers import Ddpm

FULL = Schedule.linear()


@pytest.fixture(scope="module")
def golden(golden_dir: Path) -> dict[str, Tensor]:
    """Reference values of the diffusion."""
    return load_file(golden_dir / "diffusion.safetensors")


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Draw seeded noise in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("steps", [1000, 250, 50])
def test_respaced_tables(golden: dict[str, Tensor], steps: int) -> None:
    """Evenly spaced steps, their β and ᾱ."""
    schedule = FULL.respace(steps)
    assert torch.equal(schedule.timesteps, golden[f"timesteps_{steps}"])
    torch.testing.assert_close(schedule.betas, golden[f"betas_{steps}"], atol=1e-14, rtol=0)
    torch.testing.assert_close(schedule.alphas_cumprod, golden[f"alphas_cumprod_{steps}"], atol=1e-14, rtol=0)


def test_ten_step_levels(golden: dict[str, Tensor]) -> None:
    """The levels of the golden run."""
    assert torch.equal(FULL.respace(10).timesteps, golden["loop_timesteps"])


def test_q_sample(golden: dict[str, Tensor]) -> None:
    """Noising of x0 to each sample's level."""
    noisy = FULL.q_sample(golden["loss_x0"], golden["loss_t"], golden["loss_noise"])
    torch.testing.assert_close(noisy, golden["q_sample"], atol=1e-6, rtol=0)


def test_reverse_moments(golden: dict[str, Tensor]) -> None:
    """Mean, log-variance and x0 from a network's output, in 250 steps."""
    ddpm = Ddpm(FULL.respace(250), "epsilon")
    moments = ddpm.moments(golden["pmv_xt"], golden["pmv_model_output"], golden["pmv_t"])
    for value, name in zip(moments, ("mean", "log_variance", "pred_xstart"), strict=True):
        expected = golden[f"pmv_{name}"]
        assert (value - expected).abs().max() <= 1e-6 * expected.abs().max()


@given(
    steps=st.integers(1, 60),
    start=st.integers(59, 999),
    spacing=st.sampled_from(["even", "linspace", "trailing", "snr", "karras"]),
)
def test_any_respacing_keeps_levels_and_start(steps: int, start: int, spacing: Spacing) -> None:
    """As many steps as asked, ascending, ending at the start, at the full schedule's levels; β link them."""
    schedule = FULL.respace(steps, spacing, start)
    assert len(schedule) == steps
    assert schedule.timesteps[-1] == start
    assert bool((schedule.timesteps.diff() > 0).all())
    assert schedule.timesteps[0] >= 0
    assert torch.equal(schedule.alphas_cumprod, FULL.alphas_cumprod[schedule.timesteps])
    torch.testing.assert_close(torch.cumprod(1 - schedule.betas, 0), schedule.alphas_cumprod)


def test_spacings_are_what_they_say() -> None:
    """Ten steps each; `snr` is even in log SNR to within a timestep."""
    assert FULL.respace(10, "trailing").timesteps.tolist() == list(range(99, 1000, 100))
    level = FULL.respace(10, "snr").alphas_cumprod
    gaps = (level / (1 - level)).log().diff()
    assert gaps.max() / gaps.min() < 1.5
    even = FULL.respace(10).alphas_cumprod
    assert (even / (1 - even)).log().diff().abs().max() > 3 * gaps.abs().max()
    assert torch.equal(FULL.respace(10, "linspace").timesteps, FULL.respace(10, "even").timesteps)


@pytest.mark.parametrize("spacing", ["even", "linspace", "trailing", "snr", "karras"])
def test_levels_may_end_above_the_first(spacing: Spacing) -> None:
    """All between the two, at the full schedule's levels; the last call's estimate is then the result."""
    schedule = FULL.respace(20, spacing, 800, 250)
    assert len(schedule) == 20 and schedule.timesteps[-1] == 800 and schedule.timesteps[0] >= 250
    assert torch.equal(schedule.alphas_cumprod, FULL.alphas_cumprod[schedule.timesteps])
    assert schedule.posterior_log_variance(torch.tensor([1]), torch.zeros(1)) < 0
    x0, xt = torch.tensor([0.3]), torch.tensor([-2.0])
    torch.testing.assert_close(schedule.posterior_mean(x0, xt, torch.tensor([0])), x0)
    assert FULL.respace(44, "even", None, 271).timesteps[[0, -1]].tolist() == [271, 999]
    assert torch.equal(FULL.respace(10, spacing, 500, 0).timesteps, FULL.respace(10, spacing, 500).timesteps)
    for stop in (-1, 801):
        with pytest.raises(CtgridError, match=rf"stop must be a timestep in 0\.\.\.800 \(the start\), got {stop}"):
            FULL.respace(1, spacing, 800, stop)
    with pytest.raises(CtgridError, match="from stop 250 up to the start there are 51 steps, got 52"):
        FULL.respace(52, spacing, 300, 250)


def test_karras_levels_are_even_in_the_seventh_root_of_sigma() -> None:
    """From the least noise there is to the most, to within half a timestep (Karras et al. 2022, Eq. 5)."""
    levels = FULL.respace(8, "karras").alphas_cumprod
    sigma, full = ((1 - levels) / levels).sqrt(), ((1 - FULL.alphas_cumprod) / FULL.alphas_cumprod).sqrt()
    low, high = full[0].item(), full[-1].item()
    expected = [(low ** (1 / 7) + i / 7 * (high ** (1 / 7) - low ** (1 / 7))) ** 7 for i in range(8)]
    assert (sigma[0], sigma[-1]) == (low, high)
    for found, wanted in zip(sigma.tolist(), expected, strict=True):
        assert min(abs(found - wanted), *(abs(full - wanted)).tolist()) == pytest.approx(abs(found - wanted), rel=0.5)
        assert found == pytest.approx(wanted, rel=0.12)


def test_start() -> None:
    """None, shares and timesteps."""
    assert [FULL.timestep(s) for s in (None, 1.0, 0.5, 7, 0)] == [999, 999, 500, 7, 0]
    for bad in (1.5, 0.0, -0.1, 1000, -1):
        with pytest.raises(CtgridError, match="start must be a share"):
            FULL.timestep(bad)


@given(st.integers(0, len(FULL) - 1))
def test_noise_and_timestep_are_an_inverse_pair(t: int) -> None:
    """Of the full schedule and of one with fewer steps; σ is the noise where the signal is left alone."""
    few = FULL.respace(1 + t // 2, start=t)
    for schedule, step in ((FULL, t), (few, len(few) - 1)):
        sigma = schedule.sigma_of(step)
        assert schedule.timestep_of(sigma) == schedule.timestep_of(1.00001 * sigma) == step
    signal, spread = noise(1, 1, 2, 2, seed=t), noise(1, 1, 2, 2, seed=t + 1)
    mixed = FULL.q_sample(signal, torch.tensor([t]), spread)
    scale = FULL.alphas_cumprod[t].sqrt()
    torch.testing.assert_close(mixed, scale * (signal + FULL.sigma_of(t) * spread))


def test_noise_beyond_the_schedule() -> None:
    """Clean is no noise; what lies outside is the nearest end; steps that are not there are refused."""
    assert FULL.sigma_of(CLEAN) == 0
    assert [FULL.timestep_of(sigma) for sigma in (0.0, 1e9)] == [0, len(FULL) - 1]
    assert all(FULL.sigma_of(t) < FULL.sigma_of(t + 1) for t in range(CLEAN, len(FULL) - 1))
    with pytest.raises(CtgridError, match=r"timestep must lie in -1\.\.\.999, got 1000"):
        FULL.sigma_of(1000)


def test_calls_below_a_start() -> None:
    """A share of the calls of the whole way, and one at least."""
    assert [FULL.calls(20, t) for t in (0, 20, 500, 999)] == [1, 1, 10, 20]
    assert [FULL.calls(20, t, stop=199) for t in (199, 200, 599, 999)] == [1, 1, 10, 20]


@pytest.mark.parametrize("steps", [0, -3, 1001])
def test_steps_out_of_range(steps: int) -> None:
    """No steps, or more than there are."""
    with pytest.raises(CtgridError, match=r"steps must lie in 1\.\.\.1000"):
        FULL.respace(steps)


def test_unknown_names() -> None:
    """Spacing, prediction and β range."""
    with pytest.raises(CtgridError, match="even, linspace, trailing, snr, karras"):
        FULL.respace(5, "log")  # type: ignore[arg-type]
    with pytest.raises(CtgridError, match="'epsilon', 'v' or 'x0'"):
        FULL.predict_x0(noise(1, 1, 2, 2), torch.tensor([3]), noise(1, 1, 2, 2), "noise")  # type: ignore[arg-type]
    with pytest.raises(CtgridError, match="beta_start"):
        Schedule.linear(10, 0.02, 0.01)


@given(t=st.integers(0, 999), seed=st.integers(0, 9))
def test_x0_noise_and_v_are_one_thing(t: int, seed: int) -> None:
    """From ε, v or x0 back to x0, to ε, and to the output again."""
    x0, eps, level = noise(2, 3, 4, 4, seed=seed), noise(2, 3, 4, 4, seed=seed + 50), torch.tensor([t, t])
    xt = FULL.q_sample(x0, level, eps)
    outputs: dict[Prediction, Tensor] = {"epsilon": eps, "v": FULL.v_target(x0, level, eps), "x0": x0}
    for prediction, output in outputs.items():
        torch.testing.assert_close(FULL.predict_x0(xt, level, output, prediction), x0, atol=1e-9, rtol=0)
        torch.testing.assert_close(FULL.predict_noise(xt, level, output, prediction), eps, atol=1e-9, rtol=0)
        torch.testing.assert_close(FULL.output_for(xt, level, x0, prediction), output, atol=1e-9, rtol=0)


def test_clean_is_no_noise() -> None:
    """At CLEAN x0 passes unchanged, per sample or per cell."""
    x0, eps = noise(2, 3, 8, 8), noise(2, 3, 8, 8, seed=1)
    noisy = FULL.q_sample(x0, torch.tensor([CLEAN, 999]), eps)
    assert torch.equal(noisy[0], x0[0])
    assert not torch.equal(noisy[1], x0[1])
    levels = cells_mask(torch.tensor([[CLEAN, 5, 500, CLEAN], [1, 2, 3, 4]]), 2, 8)
    noisy = FULL.q_sample(x0, levels, eps)
    assert torch.equal(noisy[0, :, :4, :4], x0[0, :, :4, :4])
    assert torch.equal(noisy[0, :, 4:, 4:], x0[0, :, 4:, 4:])
    whole = FULL.q_sample(x0, torch.tensor([500, 3]), eps)
    assert torch.equal(noisy[:, :, 4:, :4], whole[:, :, 4:, :4])


@pytest.mark.parametrize(("steps", "t"), [(1000, 1), (1000, 700), (25, 1), (25, 24)])
def test_posterior_is_bayes_rule(steps: int, t: int) -> None:
    """q(x_(t-1) | x_t, x0) from the product of its two Gaussians, on full and respaced schedules."""
    schedule = FULL.respace(steps)
    previous, beta = schedule.alphas_cumprod[t - 1], schedule.betas[t]
    x0, xt = noise(1, 1, 3, 3), noise(1, 1, 3, 3, seed=1)
    precision = (1 - beta) / beta + 1 / (1 - previous)
    mean = ((1 - beta).sqrt() * xt / beta + previous.sqrt() * x0 / (1 - previous)) / precision
    level = torch.tensor([t])
    torch.testing.assert_close(schedule.posterior_mean(x0, xt, level), mean)
    log_variance = schedule.posterior_log_variance(level, xt)
    torch.testing.assert_close(log_variance.flatten(), -precision.log()[None])


def test_learned_range_runs_from_posterior_to_beta() -> None:
    """-1 gives the posterior's log-variance, +1 that of β, 0 their middle."""
    t, ones = torch.tensor([300]), torch.ones(1, 1, 2, 2, dtype=torch.float64)
    low, high = FULL.posterior_log_variance(t, ones), FULL.betas[300].log()
    torch.testing.assert_close(FULL.learned_log_variance(t, -ones), low.expand(1, 1, 2, 2))
    torch.testing.assert_close(FULL.learned_log_variance(t, ones), high.expand(1, 1, 2, 2))
    torch.testing.assert_close(FULL.learned_log_variance(t, 0 * ones), ((low + high) / 2).expand(1, 1, 2, 2))


def test_half_precision_latents_keep_float32_levels() -> None:
    """Levels near 1 would be lost in bfloat16."""
    x0 = noise(1, 1, 4, 4).bfloat16()
    assert FULL.alpha_bar(torch.tensor([0]), x0).item() == pytest.approx(0.9999, abs=1e-7)
