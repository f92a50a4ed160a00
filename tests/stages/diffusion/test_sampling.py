"""Sampling: the golden run, exact solutions, batches, known cells, truncated starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.stages.diffusion import CLEAN, Known, Schedule, cells_mask, rows_mask, sample
from ctgrid.stages.diffusion.samplers import SAMPLERS
from ctgrid.stages.diffusion.schedule import Prediction, Spacing
from ctgrid.stages.networks.dit import DiT
from ctgrid.stages.weights.load import load_dit

FULL = Schedule.linear()
MEAN, STD = 0.7, 0.3


def seeded(seed: int) -> torch.Generator:
    """Make a seeded generator."""
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Draw seeded noise."""
    return torch.randn(shape, generator=seeded(seed))


def gaussian_denoiser(prediction: Prediction = "epsilon") -> Callable[..., Tensor]:
    """Return the perfect network for pixels drawn from N(MEAN, STD²)."""

    def model(latent: Tensor, timestep: Tensor) -> Tensor:
        level = FULL.alpha_bar(timestep, latent)
        gain = STD**2 * level.sqrt() / (level * STD**2 + 1 - level)
        x0 = MEAN + gain * (latent - level.sqrt() * MEAN)
        return FULL.output_for(latent, timestep, x0, prediction)

    return model


def exact_flow(x: Tensor, t: int) -> Tensor:
    """Follow the probability flow of N(MEAN, STD²) from level ``t`` to clean: a linear map."""
    level = FULL.alphas_cumprod[t]
    return MEAN + STD * (x - level.sqrt() * MEAN) / (level * STD**2 + 1 - level).sqrt()


def tiny_dit(**overrides: Any) -> DiT:
    """Build a tiny DiT with no zero weights and mild outputs."""
    config = {"latent_size": 16, "in_channels": 2, "width": 24, "depth": 1, "heads": 2, **overrides}
    model = DiT(**config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=seeded(0))
    return model.eval()


def test_golden_run(golden_dir: Path) -> None:
    """Ten DDPM steps of the published code (goal 1e-4 relative)."""
    golden = load_file(golden_dir / "diffusion.safetensors")
    model = load_dit(golden_dir / "stage1.safetensors")
    out = sample(model, golden["loop_z"], steps=10, sampler="ddpm", generator=seeded(1234))
    assert (out - golden["loop_out"]).abs().max() <= 1e-5 * golden["loop_out"].abs().max()


@pytest.mark.parametrize("prediction", ["epsilon", "v", "x0"])
@pytest.mark.parametrize(
    ("sampler", "spacing", "steps", "tolerance"),
    [
        ("ddpm", "even", 250, 0.05),  # without a learned variance, DDPM comes out a little narrow
        ("ddpm", "trailing", 250, 0.05),
        ("ddpm", "snr", 250, 0.03),
        ("ddim", "even", 250, 0.03),
        ("ddim", "trailing", 250, 0.03),
        ("ddim", "snr", 100, 0.03),
        ("dpm++", "even", 250, 0.02),
        ("dpm++", "trailing", 50, 0.02),
        ("dpm++", None, 10, 0.02),
    ],
)
def test_samplers_reach_the_distribution(
    sampler: str, spacing: Spacing | None, steps: int, tolerance: float, prediction: Prediction
) -> None:
    """Mean and spread of the data come out, from the perfect network."""
    x = sample(
        gaussian_denoiser(prediction),
        noise(4, 1, 64, 64),
        steps,
        sampler,
        seeded(1),
        prediction=prediction,
        spacing=spacing,
    )
    assert x.mean().item() == pytest.approx(MEAN, abs=0.01)
    assert x.std().item() == pytest.approx(STD, rel=tolerance)


@pytest.mark.parametrize("start", [None, 400])
def test_deterministic_samplers_follow_the_exact_flow(start: int | None) -> None:
    """DDIM halves its error with twice the steps; DPM-Solver++ quarters it, and is the better one."""
    x = noise(1, 1, 16, 16)
    exact = exact_flow(x, FULL.timestep(start))

    def error(sampler: str, steps: int) -> float:
        out = sample(gaussian_denoiser(), x, steps, sampler, spacing="snr", start=start)
        return float((out - exact).abs().mean())

    ddim, dpm = ([error(name, steps) for steps in (12, 24, 48)] for name in ("ddim", "dpm++"))
    assert ddim[2] < 0.65 * ddim[1] < 0.5 * ddim[0]
    assert dpm[2] < 0.4 * dpm[1]
    assert dpm[2] < 0.2 * ddim[2] < 0.01


def test_ddim_is_its_equation() -> None:
    """DDIM with η = 0, step by step (Song et al. 2021, Eq. 12), at our own levels, to the clean end."""
    model, x = tiny_dit(), noise(2, 2, 16, 16)
    levels = FULL.respace(7)
    expected = x.double()
    with torch.no_grad():
        for i in reversed(range(7)):
            t = torch.full((2,), int(levels.timesteps[i]))
            eps = model(expected.float(), t)[:, :2].double()
            x0 = levels.predict_x0(expected, torch.tensor([i, i]), eps)
            level = levels.alphas_cumprod[i - 1] if i else torch.tensor(1.0)
            expected = level.sqrt() * x0 + (1 - level).sqrt() * eps
    torch.testing.assert_close(sample(model, x, 7, "ddim").double(), expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("prediction", ["epsilon", "v", "x0"])
@pytest.mark.parametrize("spacing", get_args(Spacing))
@pytest.mark.parametrize(("sampler", "steps"), [("ddim", 1), ("ddim", 7), ("dpm++", 1), ("dpm++", 2), ("dpm++", 20)])
def test_solvers_are_those_of_diffusers(sampler: str, steps: int, spacing: Spacing, prediction: Prediction) -> None:
    """An independent implementation, on the same levels, gives the same latents."""
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

    levels, x, model = FULL.respace(steps, spacing), noise(2, 2, 16, 16).double(), tiny_dit().double()
    names = {"epsilon": "epsilon", "v": "v_prediction", "x0": "sample"}
    common: dict[str, Any] = {"num_train_timesteps": steps, "trained_betas": levels.betas.tolist()}
    common["prediction_type"] = names[prediction]
    theirs: Any
    if sampler == "ddim":
        theirs = DDIMScheduler(**common, clip_sample=False, set_alpha_to_one=True)
        theirs.alphas_cumprod = levels.alphas_cumprod
        theirs.set_timesteps(steps)
    else:
        theirs = DPMSolverMultistepScheduler(**common, algorithm_type="dpmsolver++", final_sigmas_type="zero")
        theirs.alphas_cumprod = levels.alphas_cumprod.numpy()
        theirs.set_timesteps(timesteps=list(range(steps))[::-1])
    expected = x
    with torch.no_grad():
        for i in reversed(range(steps)):
            output = model(expected, torch.full((2,), int(levels.timesteps[i])))[:, :2]
            expected = theirs.step(output, i, expected, return_dict=False)[0]
    found = sample(model, x, steps, sampler, spacing=spacing, prediction=prediction)
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("mode", ["clean", "replace", None])
def test_a_batch_is_its_samples_one_by_one(sampler: str, mode: str | None) -> None:
    """One generator per sample: the batch changes nothing, known cells or not."""
    model, x, values = tiny_dit(absolute_z=True), noise(3, 2, 16, 16), noise(3, 2, 16, 16, seed=1)
    z = torch.arange(48.0).unflatten(0, (3, 16))
    mask = rows_mask((0, 3), 4, 16)

    def run(rows: slice) -> Tensor:
        known = Known(mask, values[rows], mode) if mode else None  # type: ignore[arg-type]
        generators = [seeded(10 + i) for i in range(3)][rows]
        return sample(model, x[rows], 5, sampler, generators, known=known, z_index=z[rows])

    together = run(slice(0, 3))
    apart = torch.cat([run(slice(i, i + 1)) for i in range(3)])
    torch.testing.assert_close(together, apart, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(together[0], together[1])


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("mode", ["clean", "replace"])
def test_known_cells_are_exact_and_the_others_are_not(sampler: str, mode: str) -> None:
    """Any set of cells, another in every sample; the rest is sampled."""
    cells = torch.rand(2, 16, generator=seeded(3)) < 0.4
    mask, values = cells_mask(cells, 4, 16), noise(2, 2, 16, 16, seed=1)
    known = Known(mask, values, mode)  # type: ignore[arg-type]
    out = sample(tiny_dit(), noise(2, 2, 16, 16), 6, sampler, seeded(2), known=known)
    everywhere = mask.expand_as(out)
    assert torch.equal(out[everywhere], values[everywhere])
    assert (out[~everywhere] - values[~everywhere]).abs().min() > 0


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_replaced_cells_are_seen_at_the_level_of_the_step(sampler: str) -> None:
    """At every call known cells carry noise of exactly that timestep: √ᾱ · value + √(1 - ᾱ) · noise."""
    seen = []

    def model(latent: Tensor, timestep: Tensor) -> Tensor:
        assert timestep.shape == (1,)
        known = latent[:, :, :32]
        level = FULL.alphas_cumprod[timestep[0]]
        seen.append((known.mean().item() - 2 * level.sqrt().item(), known.std().item() / (1 - level).sqrt().item()))
        return torch.zeros_like(latent)

    known = Known(rows_mask((0, 1), 4, 64), torch.full((1, 4, 64, 64), 2.0), "replace")
    sample(model, noise(1, 4, 64, 64), 8, sampler, seeded(0), known=known)
    assert len(seen) == 8
    for offset, ratio in seen:
        assert abs(offset) < 0.05
        assert ratio == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("spacing", get_args(Spacing))
@pytest.mark.parametrize("sampler", ["ddim", "dpm++"])
def test_replaced_rows_leave_the_memory_of_a_solver_alone(sampler: str, spacing: Spacing) -> None:
    """Where pixels do not depend on each other, the unknown ones come out as if nothing were known.

    What a second-order step remembers is per pixel; the known ones are exact, also from a truncated start.
    """
    x, model = noise(2, 1, 16, 16), gaussian_denoiser()
    mask = rows_mask((0, 2), 4, 16)
    known = Known(mask, 5 * noise(2, 1, 16, 16, seed=1), "replace")
    for start in (None, 0.6):
        options: dict[str, Any] = {"spacing": spacing, "start": start}
        free = sample(model, x, 9, sampler, **options)
        held = sample(model, x, 9, sampler, seeded(4), known=known, **options)
        everywhere = mask.expand_as(x)
        assert torch.equal(held[~everywhere], free[~everywhere])
        assert torch.equal(held[everywhere], known.values[everywhere])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_replacement_pulls_what_depends_on_the_known(sampler: str) -> None:
    """Pairs of equal pixels, one known, the perfect network: the other lands near it, nearer than by chance."""

    def model(latent: Tensor, timestep: Tensor) -> Tensor:
        level = FULL.alpha_bar(timestep, latent)
        both = latent.mean(dim=2, keepdim=True).expand_as(latent)  # two looks at one value halve the noise
        x0 = level.sqrt() * both / (level + (1 - level) / 2)
        return FULL.output_for(latent, timestep, x0, "epsilon")

    values = noise(1, 1, 2, 512, seed=7)
    mask = torch.zeros(1, 1, 2, 512, dtype=torch.bool)
    mask[:, :, 0] = True
    out = sample(model, noise(1, 1, 2, 512), 50, sampler, seeded(1), known=Known(mask, values, "replace", 2))
    error = (out[0, 0, 1] - values[0, 0, 0]).square().mean().sqrt()
    assert torch.equal(out[0, 0, 0], values[0, 0, 0])
    assert error < 0.8  # two independent draws differ by 1.41


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_clean_cells_are_told_to_the_model(sampler: str) -> None:
    """Known cells come clean, at CLEAN, at every call; a model that copies them extends them everywhere."""
    cells = torch.zeros(1, 16, dtype=torch.bool)
    cells[0, 5] = True

    def model(latent: Tensor, timestep: Tensor) -> Tensor:
        assert timestep.shape == (1, 16)
        assert torch.equal(timestep == CLEAN, cells)
        value = latent[..., 4:8, 4:8].mean()
        assert value == 3
        t = timestep[:, 0]
        return FULL.output_for(latent, t, torch.full_like(latent, 3), "epsilon")

    known = Known(cells_mask(cells, 4, 16), torch.full((1, 1, 16, 16), 3.0))
    out = sample(model, noise(1, 1, 16, 16), 20, sampler, seeded(0), known=known)
    torch.testing.assert_close(out, torch.full_like(out, 3), atol=0.05, rtol=0)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_truncated_start_visits_only_what_lies_below(sampler: str) -> None:
    """Steps are spread from the start down, and progress counts them."""
    visited: list[int] = []
    done: list[tuple[int, int]] = []

    def model(latent: Tensor, timestep: Tensor) -> Tensor:
        visited.append(int(timestep[0]))
        return gaussian_denoiser()(latent, timestep)

    t0 = FULL.timestep(0.1)
    x0 = MEAN + STD * noise(1, 1, 64, 64)
    x = FULL.q_sample(x0, torch.tensor([t0]), noise(1, 1, 64, 64, seed=1))
    out = sample(model, x, 20, sampler, seeded(0), start=0.1, progress=lambda n, total: done.append((n, total)))
    assert visited[0] == t0 == 100
    assert visited[-1] <= 1
    assert len(visited) == 20
    assert visited == sorted(visited, reverse=True)
    assert done == [(n, 20) for n in range(1, 21)]
    assert torch.corrcoef(torch.stack([out.flatten(), x0.flatten()]))[0, 1] > 0.35


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("prediction", ["epsilon", "v", "x0"])
def test_clip_bounds_the_estimates(sampler: str, prediction: Prediction) -> None:
    """With a bound of 0.5 nothing beyond it comes out; without, it does."""
    arguments = (gaussian_denoiser(prediction), noise(1, 1, 16, 16), 10, sampler)
    bounded = sample(*arguments, seeded(0), prediction=prediction, clip=0.5)
    free = sample(*arguments, seeded(0), prediction=prediction)
    assert bounded.abs().max() <= 0.5 + 1e-3
    assert free.abs().max() > 0.9


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_early_end_is_the_last_estimate(sampler: str) -> None:
    """No call lies below the stop, and what the network takes for clean there is the result."""
    asked: list[tuple[int, Tensor]] = []
    perfect = gaussian_denoiser("x0")

    def model(latent: Tensor, timestep: Tensor) -> Tensor:
        asked.append((int(timestep[0]), perfect(latent, timestep)))
        return asked[-1][1]

    options: dict[str, Any] = {"prediction": "x0", "spacing": "even", "start": 900, "stop": 300}
    found = sample(model, noise(2, 1, 8, 8), 6, sampler, seeded(1), **options)
    assert [t for t, _ in asked] == [900, 780, 660, 540, 420, 300]
    torch.testing.assert_close(found, asked[-1][1])


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2])
def test_very_few_steps_work(sampler: str, steps: int) -> None:
    """One step lands on the estimate from pure noise, which is the mean; two are finite."""
    out = sample(gaussian_denoiser(), noise(1, 1, 16, 16), steps, sampler, seeded(0))
    assert out.isfinite().all()
    if steps == 1:
        torch.testing.assert_close(out, torch.full_like(out, MEAN), atol=0.05, rtol=0)


def test_inputs_reach_the_model_and_no_gradient_is_kept() -> None:
    """Condition and z_index are passed as they are; the result needs no gradient."""
    condition, z = noise(1, 2, 16, 16, seed=4), torch.arange(1.0)[None]
    model = tiny_dit(condition_channels=2, cells_per_side=1, absolute_z=True)
    one = sample(model, noise(1, 2, 16, 16), 3, "ddim", condition=condition, z_index=z)
    two = sample(model, noise(1, 2, 16, 16), 3, "ddim", condition=-condition, z_index=z)
    assert not one.requires_grad
    assert not torch.allclose(one, two)


def test_same_seed_same_bytes() -> None:
    """Sampling draws from its generator alone."""
    runs = []
    for _ in range(2):
        torch.randn(7)  # moves torch's own generator
        runs.append(sample(tiny_dit(), noise(1, 2, 16, 16), 4, "ddpm", seeded(5)))
    assert torch.equal(*runs)
    assert not torch.equal(runs[0], sample(tiny_dit(), noise(1, 2, 16, 16), 4, "ddpm", seeded(6)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sampler": "euler"}, r"unknown sampler 'euler'; known: dpm\+\+, ddim, ddpm"),
        ({"steps": 0}, r"steps must lie in 1\.\.\.1000"),
        ({"steps": 30, "start": 20}, r"steps must lie in 1\.\.\.21 \(the levels up to the start\), got 30"),
        ({"prediction": "noise"}, "prediction must be 'epsilon', 'v' or 'x0'"),
        ({"generator": [seeded(0)]}, "one generator or one per sample, got 1 for 2 samples"),
        ({"model": lambda x, t: x[:, :1].repeat(1, 3, 1, 1)}, "the model must return 2 or 4 channels"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, Any], message: str) -> None:
    """Each rule has its message."""
    defaults: dict[str, Any] = {"model": tiny_dit(), "noise": noise(2, 2, 16, 16), "steps": 3}
    with pytest.raises(CtgridError, match=message):
        sample(**{**defaults, **arguments})
