"""Sampling: walk a latent from noise to clean with any network, sampler, condition and known cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.stages.diffusion.known import Known, cell_timesteps, hold_known
from ctgrid.stages.diffusion.samplers import find_sampler
from ctgrid.stages.diffusion.schedule import CLEAN, LINEAR, Prediction, Schedule, Spacing, check_prediction

Generators = torch.Generator | Sequence[torch.Generator] | None


def draw_noise(shape: Sequence[int], generator: Generators, like: Tensor) -> Tensor:
    """Draw standard normal noise on the generator's device and move it to that of ``like``.

    Args:
        shape: (B, C, H, W).
        generator: one for the whole batch, or one per sample, so that a batch equals its samples one by one.
        like: tensor that gives device and dtype.

    Raises:
        CtgridError: if the number of generators is not B.
    """
    if generator is None or isinstance(generator, torch.Generator):
        device = like.device if generator is None else generator.device
        return torch.randn(tuple(shape), generator=generator, device=device).to(like)
    if len(generator) != shape[0]:
        raise CtgridError(f"give one generator or one per sample, got {len(generator)} for {shape[0]} samples")
    single = (1, *shape[1:])
    drawn = [torch.randn(single, generator=each, device=each.device).to(like) for each in generator]
    return torch.cat(drawn)


@torch.no_grad()
def sample(
    model: Callable[..., Tensor],
    noise: Tensor,
    steps: int = 250,
    sampler: str = "ddpm",
    generator: Generators = None,
    condition: Tensor | None = None,
    known: Known | None = None,
    z_index: Tensor | None = None,
    prediction: Prediction = "epsilon",
    schedule: Schedule | None = None,
    spacing: Spacing | None = None,
    start: float | None = None,
    stop: int = 0,
    clip: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Sample clean latents.

    Args:
        model: called as ``model(latent, timestep, condition=…, z_index=…)`` (the last two only where given);
            returns ε or v (B, C, H, W), or that and the variance channels (B, 2C, H, W). ``timestep`` is
            (B,), or (B, K²) when ``known`` has mode ``clean``.
        noise: latent to start from (B, C, H, W): standard normal, or a latent diffused to ``start``.
        steps: number of calls of the network.
        sampler: one of :data:`ctgrid.stages.diffusion.samplers.SAMPLERS`; ``ddpm`` is the reference.
        generator: source of the noise that ``ddpm``, and known cells in mode ``replace``, draw: one, or one
            per sample; None uses torch's default.
        condition: passed to the model (B, C', H, W).
        known: cells to hold.
        z_index: passed to the model (B, K²).
        prediction: what the model predicts.
        schedule: the schedule the model was trained on; None is the paper's, ``LINEAR``.
        spacing: how the steps are spaced, see :meth:`Schedule.respace`; None is the sampler's own: ``even``
            (``linspace``) for ``ddpm`` (the paper's) and ``ddim``, ``snr`` for ``dpm++``, which overshoots otherwise.
        start: level of ``noise`` if not the last: a timestep, or a share of the schedule in (0, 1]. The steps
            are spread below it. ``schedule.timestep(start)`` is the level to diffuse to.
        stop: timestep of the last call, whose estimate of x0 is the result. Above 0 for a network that is of less use
            at little noise, where what it leaves of the noise stays in the result.
        clip: bound on the magnitude of every estimate of x0; None for no bound.
        progress: called after every step with the steps done and their total.

    Returns:
        Clean latents (B, C, H, W); known cells are exactly their values.

    Raises:
        CtgridError: for an unknown name, a bad number of steps, or shapes that do not fit.
    """
    check_prediction(prediction)
    chosen = find_sampler(sampler)
    levels = (schedule or LINEAR).respace(steps, spacing or chosen.spacing, start, stop)
    solver = chosen.build(levels, prediction)
    batch, channels = noise.shape[:2]
    extra: dict[str, Any] = {"condition": condition, "z_index": z_index}
    extra = {name: value for name, value in extra.items() if value is not None}
    held = known.to(noise) if known is not None else None

    def draw() -> Tensor:
        return draw_noise(noise.shape, generator, noise)

    def hold(x: Tensor, level: int) -> Tensor:
        if held is None:
            return x
        fresh = draw() if held.mode == "replace" and level != CLEAN else None
        return hold_known(x, held, levels, level, fresh)

    x = hold(noise, len(levels) - 1)
    for index in reversed(range(len(levels))):
        timestep = torch.full((batch,), int(levels.timesteps[index]), device=x.device)
        if held is not None and held.mode == "clean":
            timestep = cell_timesteps(timestep, held.cells)
        output = model(x, timestep, **extra)
        if output.shape[1] not in (channels, 2 * channels) or output.shape[2:] != x.shape[2:]:
            raise CtgridError(
                f"the model must return {channels} or {2 * channels} channels at {tuple(x.shape[2:])}, "
                f"got {tuple(output.shape)}"
            )
        output = output.to(x.dtype)
        if clip is not None:
            output = _bounded(output, x, index, levels, prediction, clip)
        x = hold(solver.step(x, output, index, draw), index - 1)  # index - 1 is CLEAN after the last step
        if progress is not None:
            progress(len(levels) - index, len(levels))
    return x


def _bounded(output: Tensor, x: Tensor, index: int, levels: Schedule, prediction: Prediction, clip: float) -> Tensor:
    """Change the model's ε or v so that its estimate of x0 stays within ±clip; variance channels pass."""
    t = torch.full((len(x),), index, device=x.device)
    first, rest = output[:, : x.shape[1]], output[:, x.shape[1] :]
    x0 = levels.predict_x0(x, t, first, prediction).clamp(-clip, clip)
    return torch.cat([levels.output_for(x, t, x0, prediction), rest], dim=1)
