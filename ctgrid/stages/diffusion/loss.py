"""The training loss: squared error of the prediction plus the variational bound on the learned variance."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.stages.diffusion.schedule import LINEAR, Prediction, Schedule, check_prediction

LEAST_VARIANCE = 0.05
"""Lower bound on 1 - ᾱ in the weight of an x0 prediction's error."""


def gaussian_kl(mean_p: Tensor, log_variance_p: Tensor, mean_q: Tensor, log_variance_q: Tensor) -> Tensor:
    """KL(p ‖ q) of two diagonal Gaussians, elementwise, in nats."""
    spread = torch.exp(log_variance_p - log_variance_q)
    shift = (mean_p - mean_q) ** 2 * torch.exp(-log_variance_q)
    return 0.5 * (log_variance_q - log_variance_p - 1 + spread + shift)


def _normal_cdf(x: Tensor) -> Tensor:
    """Normal distribution function in its tanh approximation (Page 1977), as the published losses use it."""
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def discretised_nll(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Negative log-likelihood of x under a Gaussian gathered into 256 bins on [-1, 1], in nats.

    The outer bins are open (DDPM, Eq. 13).
    """
    inverse_std = torch.exp(-0.5 * log_variance)
    below = _normal_cdf((x - mean - 1 / 255) * inverse_std)
    above = _normal_cdf((x - mean + 1 / 255) * inverse_std)
    below = torch.where(x < -0.999, torch.zeros_like(below), below)
    above = torch.where(x > 0.999, torch.ones_like(above), above)
    return -(above - below).clamp(min=1e-12).log()


def _mean_per_sample(values: Tensor, weight: Tensor | None) -> Tensor:
    """Average (B, C, H, W) over everything but the batch, with a weight (B, 1 or C, H, W) if given."""
    if weight is None:
        return values.flatten(1).mean(dim=1)
    weight = weight.to(values.dtype).expand_as(values)
    return (values * weight).flatten(1).sum(dim=1) / weight.flatten(1).sum(dim=1).clamp(min=1e-12)


def training_loss(
    model_output: Tensor,
    x0: Tensor,
    timestep: Tensor,
    noise: Tensor,
    schedule: Schedule | None = None,
    prediction: Prediction = "epsilon",
    weight: Tensor | None = None,
    min_snr_gamma: float | None = None,
) -> dict[str, Tensor]:
    """Compute the loss of every sample: squared error of ε (or v), plus the bound on a learned variance.

    The bound trains the variance only (the mean is detached): KL of the true posterior to the model's in
    bits per dimension, at step 0 the discretised negative log-likelihood of x0. It is added unweighted.

    Args:
        model_output: (B, C, H, W), or (B, 2C, H, W) with the variance channels behind.
        x0: clean latent (B, C, H, W).
        timestep: steps of ``schedule``, (B,) or (B, 1, H, W) with another in every cell; ``CLEAN`` only where
            ``weight`` is 0.
        noise: the noise (B, C, H, W) that made the network's input from x0.
        schedule: None is the paper's, ``LINEAR``.
        prediction: what the first C channels predict: ``epsilon``, ``v``, or ``x0``, whose error is measured
            as that of the v it implies, so that all noise levels count as they do for ``v``. A network narrower
            than a patch's noise cannot pass ε or v through, but can predict x0 (arXiv 2511.13720).
        weight: (B, 1 or C, H, W), for example the cells that were unknown; normalised by its sum per sample.
        min_snr_gamma: cap of the signal-to-noise ratio in min-SNR weighting (arXiv 2303.09556); None weights
            all levels alike.

    Returns:
        ``mse``, ``vb`` (zero without variance channels) and ``loss``, their sum, in which ``mse`` carries the
        min-SNR weight; each (B,), float32.

    Raises:
        CtgridError: if shapes do not fit or ``prediction`` is unknown.
    """
    check_prediction(prediction)
    batch, channels = x0.shape[:2]
    if noise.shape != x0.shape:
        raise CtgridError(f"noise must have the shape of x0, {tuple(x0.shape)}, got {tuple(noise.shape)}")
    if model_output.shape[1] not in (channels, 2 * channels) or model_output.shape[2:] != x0.shape[2:]:
        raise CtgridError(
            f"model_output must have {channels} or {2 * channels} channels at {tuple(x0.shape[2:])}, "
            f"got {tuple(model_output.shape)}"
        )
    if timestep.ndim not in (1, x0.ndim) or timestep.shape[0] != batch:
        raise CtgridError(f"timestep must be ({batch},) or ({batch}, 1, H, W), got {tuple(timestep.shape)}")
    schedule = schedule or LINEAR
    x0, noise, model_output = x0.float(), noise.float(), model_output.float()
    predicted = model_output[:, :channels]
    if prediction == "x0":  # v = (√ᾱ x_t - x0) / √(1 - ᾱ)
        error = (predicted - x0) ** 2 / (1 - schedule.alpha_bar(timestep, x0)).clamp(min=LEAST_VARIANCE)
    else:
        target = noise if prediction == "epsilon" else schedule.v_target(x0, timestep, noise)
        error = (predicted - target) ** 2
    mse = _mean_per_sample(error, weight)
    weighted = mse
    if min_snr_gamma is not None:
        snr = schedule.snr(timestep, x0)
        snr_weight = snr.clamp(max=min_snr_gamma) / (snr if prediction == "epsilon" else snr + 1)
        weighted = _mean_per_sample(error * snr_weight, weight)
    vb = torch.zeros_like(mse)
    if model_output.shape[1] == 2 * channels:
        vb = variational_bound(
            predicted.detach(), model_output[:, channels:], x0, timestep, noise, schedule, prediction, weight
        )
    return {"mse": mse, "vb": vb, "loss": weighted + vb}


def variational_bound(
    predicted: Tensor,
    variance: Tensor,
    x0: Tensor,
    timestep: Tensor,
    noise: Tensor,
    schedule: Schedule,
    prediction: Prediction = "epsilon",
    weight: Tensor | None = None,
) -> Tensor:
    """Compute the variational bound term of every sample, in bits per dimension (Improved DDPM, Eq. 4-7).

    Args:
        predicted: ε or v (B, C, H, W); detach it to train the variance alone.
        variance: the variance channels (B, C, H, W).
        x0: clean latent (B, C, H, W).
        timestep: as in :func:`training_loss`.
        noise: (B, C, H, W).
        schedule: the schedule ``timestep`` belongs to.
        prediction: what ``predicted`` is.
        weight: as in :func:`training_loss`.

    Returns:
        (B,).
    """
    t = timestep.clamp(min=0)
    xt = schedule.q_sample(x0, t, noise)
    mean = schedule.posterior_mean(schedule.predict_x0(xt, t, predicted, prediction), xt, t)
    log_variance = schedule.learned_log_variance(t, variance)
    true_mean = schedule.posterior_mean(x0, xt, t)
    true_log_variance = schedule.posterior_log_variance(t, x0)
    kl = gaussian_kl(true_mean, true_log_variance, mean, log_variance)
    nll = discretised_nll(x0, mean, log_variance)
    first = (t == 0) if t.ndim == x0.ndim else (t == 0)[(...,) + (None,) * (x0.ndim - 1)]
    return _mean_per_sample(torch.where(first, nll, kl), weight) / math.log(2)
