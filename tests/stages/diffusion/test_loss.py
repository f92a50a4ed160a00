"""The training loss: golden values, and what it must and must not depend on."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.stages.diffusion import CLEAN, Schedule, training_loss
from ctgrid.stages.diffusion.known import cells_mask
from ctgrid.stages.diffusion.loss import discretised_nll, gaussian_kl

FULL = Schedule.linear()


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Draw seeded noise."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


X0, EPS, T = noise(3, 2, 8, 8).clamp(-1, 1), noise(3, 2, 8, 8, seed=1), torch.tensor([0, 40, 900])
OUTPUT = noise(3, 4, 8, 8, seed=2)


def test_golden(golden_dir: Path) -> None:
    """Squared error, variational bound and their sum, as published."""
    golden = load_file(golden_dir / "diffusion.safetensors")
    terms = training_loss(*(golden[f"loss_{n}"] for n in ("model_output", "x0", "t", "noise")))
    for name, key in (("mse", "mse"), ("vb", "vb"), ("loss", "total")):
        torch.testing.assert_close(terms[name], golden[f"loss_{key}"], atol=1e-5, rtol=1e-5)


def test_batch_is_its_samples() -> None:
    """Each sample's terms do not depend on the others."""
    terms = training_loss(OUTPUT, X0, T, EPS)
    for i in range(3):
        alone = training_loss(OUTPUT[i : i + 1], X0[i : i + 1], T[i : i + 1], EPS[i : i + 1])
        for name, values in terms.items():
            torch.testing.assert_close(values[i : i + 1], alone[name])


@pytest.mark.parametrize("prediction", ["epsilon", "v", "x0"])
def test_a_perfect_network_has_no_loss(prediction: str) -> None:
    """Right noise (or v) and the posterior's variance: zero, but for the decoder's bits at step 0."""
    target = {"epsilon": EPS, "v": FULL.v_target(X0, T, EPS), "x0": X0}[prediction]
    output = torch.cat([target, -torch.ones_like(target)], dim=1)
    terms = training_loss(output, X0, T, EPS, prediction=prediction)  # type: ignore[arg-type]
    assert terms["mse"].abs().max() == 0
    assert terms["vb"][1:].abs().max() < 1e-5
    assert terms["vb"][0] > 0.1


def test_an_x0_prediction_counts_as_the_v_it_implies() -> None:
    """Above the least variance, the same estimate has the same loss as x0 and as v."""
    level = torch.tensor([100, 400, 999])
    estimate = X0 + 0.1 * EPS.roll(1, 0)
    v = FULL.output_for(FULL.q_sample(X0, level, EPS), level, estimate, "v")
    as_v = training_loss(v, X0, level, EPS, prediction="v")["mse"]
    as_x0 = training_loss(estimate, X0, level, EPS, prediction="x0")["mse"]
    torch.testing.assert_close(as_x0, as_v, rtol=1e-4, atol=0)


def test_the_bound_trains_the_variance_alone() -> None:
    """No gradient from vb to the mean, none from mse to the variance."""
    output = OUTPUT.clone().requires_grad_()
    (grad,) = torch.autograd.grad(training_loss(output, X0, T, EPS)["vb"].sum(), output)
    assert grad[:, :2].abs().max() == 0
    assert bool((grad[:, 2:].abs().amax(dim=(1, 2, 3)) > 0).all())
    (grad,) = torch.autograd.grad(training_loss(output, X0, T, EPS)["mse"].sum(), output)
    assert grad[:, 2:].abs().max() == 0


def test_without_variance_channels_there_is_no_bound() -> None:
    """Plain squared error of v, averaged over the sample."""
    terms = training_loss(OUTPUT[:, :2], X0, T, EPS, prediction="v")
    expected = (OUTPUT[:, :2] - FULL.v_target(X0, T, EPS)).square().mean(dim=(1, 2, 3))
    torch.testing.assert_close(terms["loss"], expected)
    assert terms["vb"].abs().max() == 0


def test_weight_takes_the_loss_on_the_unknown_cells() -> None:
    """The left half counts: as if the image were the left half, whatever lies on the right."""
    weight = torch.zeros(3, 1, 8, 8)
    weight[..., :4] = 1
    output = OUTPUT.clone()
    output[..., 4:] += 100
    masked = training_loss(output, X0, T, EPS, weight=weight)
    cropped = training_loss(OUTPUT[..., :4], X0[..., :4], T, EPS[..., :4])
    for name, values in masked.items():
        torch.testing.assert_close(values, cropped[name])


@pytest.mark.parametrize("gamma", [None, 5.0])
def test_cells_with_their_own_level(gamma: float | None) -> None:
    """Unknown cells at level t, known ones clean and weightless: the same as t everywhere, and finite."""
    known = torch.tensor([[True, False, False, True]]).expand(3, 4)
    levels = cells_mask(torch.where(known, CLEAN, T[:, None]), 2, 8)
    weight = (levels != CLEAN).float()
    per_cell = training_loss(OUTPUT, X0, levels, EPS, weight=weight, min_snr_gamma=gamma)
    everywhere = training_loss(OUTPUT, X0, T, EPS, weight=weight, min_snr_gamma=gamma)
    for name, values in per_cell.items():
        assert values.isfinite().all()
        torch.testing.assert_close(values, everywhere[name])


def test_min_snr_weighs_levels() -> None:
    """min(SNR, γ)/SNR for ε, min(SNR, γ)/(SNR + 1) for v; mse itself is reported without."""
    level = FULL.alphas_cumprod[T]
    snr = (level / (1 - level)).float()
    for prediction, rest in (("epsilon", snr), ("v", snr + 1)):
        plain = training_loss(OUTPUT[:, :2], X0, T, EPS, prediction=prediction)  # type: ignore[arg-type]
        capped = training_loss(OUTPUT[:, :2], X0, T, EPS, prediction=prediction, min_snr_gamma=5.0)  # type: ignore[arg-type]
        torch.testing.assert_close(capped["mse"], plain["mse"])
        torch.testing.assert_close(capped["loss"], plain["mse"] * snr.clamp(max=5) / rest)


def test_gaussian_kl_is_an_expectation() -> None:
    """Against torch's own distributions."""
    a, b, c, d = noise(4, 50)
    p = torch.distributions.Normal(a, (0.5 * b).exp())
    q = torch.distributions.Normal(c, (0.5 * d).exp())
    torch.testing.assert_close(gaussian_kl(a, b, c, d), torch.distributions.kl_divergence(p, q))


@pytest.mark.parametrize(("mean", "log_variance"), [(0.0, -3.0), (0.9, -6.0), (-2.0, 1.0)])
def test_bins_of_the_decoder_sum_to_one(mean: float, log_variance: float) -> None:
    """256 bins on [-1, 1], the outer two open."""
    x = torch.linspace(-1, 1, 256, dtype=torch.float64)
    nll = discretised_nll(x, torch.full_like(x, mean), torch.full_like(x, log_variance))
    assert math.isclose(float((-nll).exp().sum()), 1, abs_tol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (OUTPUT[:, :3], X0, T, EPS),
            r"model_output must have 2 or 4 channels at \(8, 8\), got \(3, 3, 8, 8\)",
        ),
        ((OUTPUT[..., :4], X0, T, EPS), "model_output must have"),
        ((OUTPUT, X0, T, EPS[:1]), "noise must have the shape of x0"),
        ((OUTPUT, X0, T[:2], EPS), r"timestep must be \(3,\)"),
        ((OUTPUT, X0, torch.zeros(3, 16), EPS), r"got \(3, 16\)"),
    ],
)
def test_shapes_that_do_not_fit(arguments: tuple[Tensor, ...], message: str) -> None:
    """The argument at fault is named."""
    with pytest.raises(CtgridError, match=message):
        training_loss(*arguments)
