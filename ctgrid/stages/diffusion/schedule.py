"""The noise schedule of the diffusion and the algebra between x0, noise, v and the posterior.

Symbols follow Ho et al. 2020 and Nichol & Dhariwal 2021: ``x_t = √ᾱ_t x0 + √(1 - ᾱ_t) ε``.
The level ``CLEAN`` = -1 means ᾱ = 1: a latent (or a cell of it) that carries no noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import torch
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.stages.diffusion.spacing import STEPS
from ctgrid.stages.diffusion.spacing import Spacing as Spacing

CLEAN = -1
Prediction = Literal["epsilon", "v", "x0"]

RHO = 7.0
"""How strongly Karras' levels crowd towards the clean end (Karras et al. 2022, Eq. 5)."""


def check_prediction(prediction: str) -> None:
    """Raise CtgridError unless ``prediction`` is ``epsilon``, ``v`` or ``x0``."""
    if prediction not in get_args(Prediction):
        raise CtgridError(f"prediction must be 'epsilon', 'v' or 'x0', got {prediction!r}")


@dataclass(frozen=True, eq=False)
class Schedule:
    """Noise levels of a diffusion of ``len(betas)`` steps; step 0 carries the least noise.

    Attributes:
        betas: (T,) float64.
        alphas_cumprod: ᾱ, (T,) float64.
        timesteps: (T,) int64, the timestep of the full schedule that the network was trained on.

    Every method takes ``t``: indices into *this* schedule, (B,) or broadcastable to the latent, such as
    (B, 1, H, W) with another level in every cell; ``CLEAN`` is allowed where noted.
    """

    betas: Tensor
    alphas_cumprod: Tensor
    timesteps: Tensor

    def __post_init__(self) -> None:
        """Make the tables now: made at first use, they could be tensors without data, see training.meter."""
        _ = self.sigmas, self._levels, self._posterior, self._log_variances

    @classmethod
    def linear(cls, steps: int = STEPS, beta_start: float = 1e-4, beta_end: float = 0.02) -> Schedule:
        """Build the linear-β schedule of the paper.

        Raises:
            CtgridError: if ``steps`` < 1 or the β are not in (0, 1).
        """
        if steps < 1 or not 0 < beta_start <= beta_end < 1:
            raise CtgridError(
                f"need steps >= 1 and 0 < beta_start <= beta_end < 1, got {steps}, {beta_start}, {beta_end}"
            )
        betas = torch.linspace(beta_start, beta_end, steps, dtype=torch.float64)
        return cls(betas, torch.cumprod(1 - betas, dim=0), torch.arange(steps))

    def __len__(self) -> int:
        """Count the steps."""
        return len(self.betas)

    def timestep(self, start: float | None) -> int:
        """Turn a start of sampling into a step index: None is the last, a float a share, an int itself.

        Raises:
            CtgridError: if it lies outside the schedule.
        """
        last = len(self) - 1
        if start is None:
            return last
        index = round(start * last) if isinstance(start, float) else start
        if not 0 <= index <= last or (isinstance(start, float) and not 0 < start <= 1):
            raise CtgridError(f"start must be a share in (0, 1] or a timestep in 0...{last}, got {start}")
        return index

    def sigma_of(self, timestep: int) -> float:
        """Return σ = √((1 - ᾱ) / ᾱ), the noise of a step as a multiple of the signal; ``CLEAN`` gives 0.

        Raises:
            CtgridError: if there is no such step.
        """
        if not CLEAN <= timestep < len(self):
            raise CtgridError(f"timestep must lie in {CLEAN}...{len(self) - 1}, got {timestep}")
        return 0.0 if timestep == CLEAN else float(self.sigmas[timestep])

    def timestep_of(self, sigma: float) -> int:
        """Return the step whose σ comes nearest: the inverse of :meth:`sigma_of`, for any noise.

        Args:
            sigma: standard deviation of the noise where that of the signal is left alone, 0 or more.
        """
        return int((self.sigmas - sigma).abs().argmin())

    def calls(self, steps: int, timestep: int, stop: int = 0) -> int:
        """Return the network calls from a step down to ``stop``, where a way from the last one has ``steps``.

        One at least.
        """
        return max(1, round(steps * (timestep - stop) / (len(self) - 1 - stop)))

    def respace(self, steps: int, spacing: Spacing = "even", start: float | None = None, stop: int = 0) -> Schedule:
        """Keep ``steps`` levels from ``stop`` up to ``start``, which is always one of them, with the β that link them.

        Args:
            steps: number of levels to keep.
            spacing: ``even`` or ``linspace`` from step 0 on (the paper's), ``trailing`` evenly but skipping the
                nearly clean step 0 (better for few steps), ``snr``, even in the logarithm of the
                signal-to-noise ratio, or ``karras``, even in σ^(1/7) with σ² = (1 - ᾱ) / ᾱ (Karras et al. 2022,
                Eq. 5); the last two take the nearest trained levels.
            start: highest level, see :meth:`timestep`.
            stop: lowest level: the network's estimate of x0 there is where sampling ends.

        Raises:
            CtgridError: if the levels between are fewer than ``steps``, or the spacing is unknown.
        """
        last = self.timestep(start)
        if stop:
            if not 0 < stop <= last:
                raise CtgridError(f"stop must be a timestep in 0...{last} (the start), got {stop}")
            if steps > last - stop + 1:
                raise CtgridError(f"from stop {stop} up to the start there are {last - stop + 1} steps, got {steps}")
            return self.at(torch.arange(stop, last + 1)).respace(steps, spacing)
        if not 1 <= steps <= last + 1:
            raise CtgridError(f"steps must lie in 1...{last + 1} (the levels up to the start), got {steps}")
        share = [(i + 1) / steps for i in range(steps)]
        if steps == 1:
            keep = [last]
        elif spacing in ("even", "linspace"):
            keep = [round(i * (last / (steps - 1))) for i in range(steps)]
        elif spacing == "trailing":
            keep = [round(s * (last + 1)) - 1 for s in share]
        elif spacing == "snr":
            log_snr = (self.alphas_cumprod / (1 - self.alphas_cumprod)).log()[: last + 1]
            wanted = log_snr[0] + torch.tensor(share, dtype=torch.float64) * (log_snr[-1] - log_snr[0])
            keep = _nearest(log_snr, wanted)
        elif spacing == "karras":
            sigma = self.sigmas[: last + 1]
            low, high = sigma[0] ** (1 / RHO), sigma[-1] ** (1 / RHO)
            wanted = (low + torch.linspace(0, 1, steps, dtype=torch.float64) * (high - low)) ** RHO
            keep = _nearest(sigma.log(), wanted.log())
        else:
            raise CtgridError(f"spacing must be one of {', '.join(get_args(Spacing))}, got {spacing!r}")
        return self.at(torch.tensor(keep))

    def at(self, keep: Tensor) -> Schedule:
        """Keep the steps with the given ascending indices (S,).

        Their β'_i = 1 - ᾱ_i / ᾱ_(i-1) (Improved DDPM, Eq. 19).
        """
        alphas_cumprod = self.alphas_cumprod[keep]
        previous = torch.cat([torch.ones(1, dtype=torch.float64), alphas_cumprod[:-1]])
        return Schedule(1 - alphas_cumprod / previous, alphas_cumprod, self.timesteps[keep])

    # ---- tables, float64 ---------------------------------------------------------------------------

    @cached_property
    def sigmas(self) -> Tensor:
        """σ of every step, (T,), ascending; see :meth:`sigma_of`."""
        return ((1 - self.alphas_cumprod) / self.alphas_cumprod).sqrt()

    @cached_property
    def _levels(self) -> Tensor:
        """ᾱ with the clean level in front: entry t + 1 is ᾱ_t, so that t = CLEAN gives 1."""
        return torch.cat([torch.ones(1, dtype=torch.float64), self.alphas_cumprod])

    @cached_property
    def _posterior(self) -> tuple[Tensor, Tensor, Tensor]:
        """Coefficients of x0 and x_t in the posterior mean, and the posterior variance (DDPM, Eq. 7)."""
        level, previous = self.alphas_cumprod, self._levels[:-1]
        of_x0 = self.betas * previous.sqrt() / (1 - level)
        of_xt = (1 - previous) * (1 - self.betas).sqrt() / (1 - level)
        return of_x0, of_xt, self.betas * (1 - previous) / (1 - level)

    @cached_property
    def _log_variances(self) -> tuple[Tensor, Tensor]:
        """Lower and upper log-variance: posterior (its zero at step 0 replaced by step 1's value) and β."""
        variance = self._posterior[2]
        low = torch.cat([variance[1:2], variance[1:]]) if len(self) > 1 else self.betas
        return low.log(), self.betas.log()

    @staticmethod
    def _at(table: Tensor, t: Tensor, like: Tensor) -> Tensor:
        """Look up ``t`` in a table, at least in float32, shaped to broadcast over ``like``."""
        dtype = torch.promote_types(like.dtype, torch.float32)
        values = table.to(dtype).to(t.device)[t.long()].to(like.device)
        return values[(...,) + (None,) * (like.ndim - t.ndim)] if t.ndim == 1 else values

    # ---- x0, noise, v ------------------------------------------------------------------------------

    def alpha_bar(self, t: Tensor, like: Tensor) -> Tensor:
        """Return ᾱ_t shaped to broadcast over ``like``; ``CLEAN`` gives 1."""
        return self._at(self._levels, t + 1, like)

    def snr(self, t: Tensor, like: Tensor) -> Tensor:
        """Return ᾱ / (1 - ᾱ), the signal-to-noise ratio; infinite at ``CLEAN``."""
        return self._at(self._levels / (1 - self._levels), t + 1, like)

    def _scales(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return √ᾱ_t and √(1 - ᾱ_t)."""
        signal = self._at(self._levels.sqrt(), t + 1, like)
        return signal, self._at((1 - self._levels).sqrt(), t + 1, like)

    def q_sample(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Diffuse x0 (B, C, H, W) to level ``t`` with the given noise (DDPM, Eq. 4); ``CLEAN`` returns x0."""
        signal, sigma = self._scales(t, x0)
        return signal * x0 + sigma * noise

    def v_target(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Compute v = √ᾱ ε - √(1 - ᾱ) x0 (Salimans & Ho 2022)."""
        signal, sigma = self._scales(t, x0)
        return signal * noise - sigma * x0

    def predict_x0(self, xt: Tensor, t: Tensor, output: Tensor, prediction: Prediction = "epsilon") -> Tensor:
        """Turn the network's ε or v (B, C, H, W) at x_t into its estimate of x0."""
        check_prediction(prediction)
        if prediction == "x0":
            return output
        signal, sigma = self._scales(t, xt)
        return (xt - sigma * output) / signal if prediction == "epsilon" else signal * xt - sigma * output

    def predict_noise(self, xt: Tensor, t: Tensor, output: Tensor, prediction: Prediction = "epsilon") -> Tensor:
        """Turn the network's ε or v at x_t into its estimate of the noise."""
        check_prediction(prediction)
        if prediction == "epsilon":
            return output
        signal, sigma = self._scales(t, xt)
        if prediction == "x0":
            return (xt - signal * output) / sigma
        return sigma * xt + signal * output

    def output_for(self, xt: Tensor, t: Tensor, x0: Tensor, prediction: Prediction = "epsilon") -> Tensor:
        """Return the output that :meth:`predict_x0` turns into ``x0``; ``t`` >= 0."""
        check_prediction(prediction)
        if prediction == "x0":
            return x0
        signal, sigma = self._scales(t, xt)
        return (xt - signal * x0) / sigma if prediction == "epsilon" else (signal * xt - x0) / sigma

    # ---- one reverse step --------------------------------------------------------------------------

    def posterior_mean(self, x0: Tensor, xt: Tensor, t: Tensor) -> Tensor:
        """Mean of q(x_(t-1) | x_t, x0), ``t`` >= 0 (DDPM, Eq. 7)."""
        of_x0, of_xt, _ = self._posterior
        return self._at(of_x0, t, xt) * x0 + self._at(of_xt, t, xt) * xt

    def posterior_log_variance(self, t: Tensor, like: Tensor) -> Tensor:
        """Log-variance of q(x_(t-1) | x_t, x0), step 0 taking the value of step 1 to stay finite."""
        return self._at(self._log_variances[0], t, like)

    def learned_log_variance(self, t: Tensor, output: Tensor) -> Tensor:
        """Interpolate the log-variance between the posterior's (-1) and β (+1) (Improved DDPM, Eq. 15).

        Args:
            t: step indices.
            output: the network's variance channels (B, C, H, W).
        """
        low, high = (self._at(table, t, output) for table in self._log_variances)
        share = (output + 1) / 2
        return share * high + (1 - share) * low


LINEAR = Schedule.linear()
"""The paper's, which every network here is trained on."""


def _nearest(levels: Tensor, wanted: Tensor) -> list[int]:
    """Return, strictly ascending, the indices of the levels (T,) nearest to those wanted (S,), S <= T."""
    keep = (levels[None] - wanted[:, None]).abs().argmin(dim=1).tolist()
    for i in range(1, len(keep)):  # strictly ascending, and with room for the rest
        keep[i] = max(keep[i], keep[i - 1] + 1)
    for i in range(len(keep)):
        keep[i] = min(keep[i], len(levels) - len(keep) + i)
    return [int(index) for index in keep]
