"""One reverse step of each sampler, on any schedule: our DDPM, and DDIM and DPM-Solver++ from diffusers.

A solver is handed the network's output and moves x from step ``index`` to the one below. It is told the
respaced schedule, so that every sampler visits the same levels, whatever their spacing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from ctgrid.diffusion.schedule import Prediction, Schedule, Spacing
from ctgrid.errors import CtgridError

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


class Diffusers:
    """A scheduler of diffusers, run on our own levels; the learned variance is left aside."""

    def __init__(self, schedule: Schedule, prediction: Prediction, sampler: str) -> None:
        from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

        common: dict[str, Any] = {
            "num_train_timesteps": len(schedule),
            "trained_betas": schedule.betas.tolist(),
            "prediction_type": {"epsilon": "epsilon", "v": "v_prediction", "x0": "sample"}[prediction],
        }
        self.scheduler: Any
        if sampler == "ddim":
            self.scheduler = DDIMScheduler(**common, clip_sample=False, set_alpha_to_one=True)
        else:
            self.scheduler = DPMSolverMultistepScheduler(
                **common, solver_order=2, algorithm_type="dpmsolver++", final_sigmas_type="zero"
            )
        # Few levels make β nearly 1, and 1 - β in float32 too coarse: give the exact levels.
        if sampler == "ddim":
            self.scheduler.alphas_cumprod = schedule.alphas_cumprod.float()
            self.scheduler.set_timesteps(len(schedule))
        else:
            self.scheduler.alphas_cumprod = schedule.alphas_cumprod.numpy()
            self.scheduler.set_timesteps(timesteps=list(range(len(schedule)))[::-1])

    def step(self, x: Tensor, output: Tensor, index: int, draw: Draw) -> Tensor:
        """Take one deterministic step."""
        moved: Tensor = self.scheduler.step(output[:, : x.shape[1]], index, x, return_dict=False)[0]
        return moved


SAMPLERS: dict[str, Spacing] = {"ddpm": "even", "ddim": "even", "dpm++": "snr"}
"""The samplers, each with the spacing it is best known with; a solver of second order wants even log SNR."""


def check_sampler(sampler: str) -> None:
    """Raise CtgridError unless ``sampler`` is one of ``SAMPLERS``."""
    if sampler not in SAMPLERS:
        raise CtgridError(f"sampler must be one of {', '.join(SAMPLERS)}, got {sampler!r}")


def build_solver(sampler: str, schedule: Schedule, prediction: Prediction) -> Solver:
    """Build a solver by name.

    Args:
        sampler: ``ddpm``, ``ddim`` or ``dpm++``.
        schedule: the levels to visit.
        prediction: what the network predicts.

    Raises:
        CtgridError: if the name is unknown.
    """
    check_sampler(sampler)
    return Ddpm(schedule, prediction) if sampler == "ddpm" else Diffusers(schedule, prediction, sampler)
