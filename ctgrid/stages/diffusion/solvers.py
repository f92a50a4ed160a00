"""One reverse step of each sampler, on any schedule: DDPM, DDIM and DPM-Solver++.

A solver is handed the network's output and moves x from step ``index`` to the one below. It is told the
respaced schedule, so that every sampler visits the same levels, whatever their spacing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from ctgrid.stages.diffusion.schedule import Prediction, Schedule

Draw = Callable[[], Tensor]


class Solver(Protocol):
    """Anything that takes one reverse step."""

    def step(self, x: Tensor, output: Tensor, index: int, draw: Draw) -> Tensor:
        """Move x (B, C, H, W) from level ``index`` one level down.

        Args:
            x: noisy latent.
            output: the network's output, (B, C, H, W) or (B, 2C, H, W).
            index: step of the respaced schedule, descending from the last to 0.
            draw: gives fresh noise of the shape of x.
        """
        ...


class Ddpm:
    """Ancestral sampling (DDPM, Algorithm 2), with the learned variance where the network has one."""

    def __init__(self, schedule: Schedule, prediction: Prediction) -> None:
        self.schedule = schedule
        self.prediction = prediction

    def moments(self, x: Tensor, output: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, log-variance and x0 estimate of p(x_(t-1) | x_t), each shaped or broadcasting like x."""
        channels = x.shape[1]
        x0 = self.schedule.predict_x0(x, t, output[:, :channels], self.prediction)
        if output.shape[1] == 2 * channels:
            log_variance = self.schedule.learned_log_variance(t, output[:, channels:])
        else:
            log_variance = self.schedule.posterior_log_variance(t, x)
        return self.schedule.posterior_mean(x0, x, t), log_variance, x0

    def step(self, x: Tensor, output: Tensor, index: int, draw: Draw) -> Tensor:
        """Sample the level below; the last step draws noise and leaves it unused, as published."""
        t = torch.full((len(x),), index, device=x.device)
        mean, log_variance, _ = self.moments(x, output, t)
        noise = draw()
        return mean if index == 0 else mean + torch.exp(0.5 * log_variance) * noise


class Ddim:
    """Deterministic sampling (DDIM with η = 0, Song et al. 2021, Eq. 12); the learned variance is left aside."""

    def __init__(self, schedule: Schedule, prediction: Prediction) -> None:
        self.schedule = schedule
        self.prediction = prediction

    def step(self, x: Tensor, output: Tensor, index: int, draw: Draw) -> Tensor:
        """Point the noise of this level at the level below: √ᾱ' x0 + √(1 - ᾱ') ε."""
        t = torch.full((len(x),), index, device=x.device)
        x0, noise = _x0_and_noise(self.schedule, x, output, t, self.prediction)
        return self.schedule.q_sample(x0, t - 1, noise)  # t - 1 is CLEAN after the last step


class DpmSolver:
    """DPM-Solver++ of second order, multistep (Lu et al. 2022, Algorithm 2, "2M"); first order at both ends.

    λ is log √(ᾱ / (1 - ᾱ)), infinite where clean: the last step lands on the estimate of x0.
    """

    def __init__(self, schedule: Schedule, prediction: Prediction) -> None:
        self.schedule = schedule
        self.prediction = prediction
        self.lambdas = (schedule.alphas_cumprod / (1 - schedule.alphas_cumprod)).log().div(2).tolist()
        self.signal = schedule.alphas_cumprod.sqrt().tolist()
        self.sigma = (1 - schedule.alphas_cumprod).sqrt().tolist()
        self.before: Tensor | None = None

    def step(self, x: Tensor, output: Tensor, index: int, draw: Draw) -> Tensor:
        """Move x along the straight line in λ that this estimate of x0 and the one before give."""
        t = torch.full((len(x),), index, device=x.device)
        x0 = self.schedule.predict_x0(x, t, output[:, : x.shape[1]], self.prediction)
        before, self.before = self.before, x0
        if index == 0:
            return x0
        lambdas, below = self.lambdas, index - 1
        width = lambdas[below] - lambdas[index]
        if before is not None:
            ratio = (lambdas[index] - lambdas[index + 1]) / width
            x0 = torch.lerp(x0, before, -0.5 / ratio)  # (1 + 1 / 2r) D_i - 1 / 2r D_(i+1)
        return self.sigma[below] / self.sigma[index] * x - self.signal[below] * math.expm1(-width) * x0


def _x0_and_noise(
    schedule: Schedule, x: Tensor, output: Tensor, t: Tensor, prediction: Prediction
) -> tuple[Tensor, Tensor]:
    """Return the estimates of x0 and of the noise that the network's output stands for."""
    first = output[:, : x.shape[1]]
    return schedule.predict_x0(x, t, first, prediction), schedule.predict_noise(x, t, first, prediction)
