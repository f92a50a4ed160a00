"""What training both diffusion stages shares: noising, loss, and saving with the facts sampling needs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ctgrid.methods.training.recipes import DiffusionRecipe
from ctgrid.stages.diffusion.loss import training_loss
from ctgrid.stages.diffusion.schedule import LINEAR
from ctgrid.stages.models.facts import STAGE_FILE, StageFacts


def diffusion_loss(
    network: nn.Module,
    recipe: DiffusionRecipe,
    latent: Tensor,
    noise: Tensor,
    timestep: Tensor,
    *,
    levels: Tensor | None = None,
    weight: Tensor | None = None,
    target: Callable[[Tensor], Tensor] | None = None,
    **inputs: Tensor,
) -> dict[str, Tensor]:
    """Noise latents, run the network and return the batch means of the loss terms.

    Args:
        network: called as ``network(noisy, timestep, **inputs)``.
        recipe: names the prediction and the weighting.
        latent: x0, (B, C, H, W).
        noise: (B, C, H, W).
        timestep: (B,) or (B, cells), what the network is told.
        levels: (B, 1, H, W) the same levels by latent pixel; None where ``timestep`` is (B,).
        weight: (B, 1 or C, H, W), where the loss counts; None everywhere.
        target: of the noisy latents, what an estimate of x0 is compared with in place of ``latent``.
        inputs: ``condition`` or ``z_index``.
    """
    level = timestep if levels is None else levels
    noisy = LINEAR.q_sample(latent, level, noise)
    output = network(noisy, timestep, **inputs)
    terms = training_loss(
        output,
        latent if target is None else target(noisy),
        level,
        noise,
        LINEAR,
        prediction=recipe.prediction,
        weight=weight,
        min_snr_gamma=recipe.min_snr_gamma,
    )
    return {name: value.mean() for name, value in terms.items()}


def save_stage(network: Any, folder: Path, facts: StageFacts) -> None:
    """Write a stage's weights and, beside them, the facts that sampling needs."""
    network.save_pretrained(folder)
    (folder / STAGE_FILE).write_text(json.dumps(facts.as_dict(), indent=1) + "\n")


def draw_timestep(generator: torch.Generator, shift: float = 1.0) -> Tensor:
    """Draw a timestep of the schedule, () int64.

    Args:
        generator: source of the draw.
        shift: s of t = s u / (1 + (s - 1) u), u uniform in (0, 1): above 1 noisy levels come more often (Esser et al.,
            arXiv 2403.03206, equation 23).
    """
    drawn = torch.randint(0, len(LINEAR), (), generator=generator)
    if shift == 1.0:
        return drawn
    share = (drawn.double() + 0.5) / len(LINEAR)
    return (shift * share / (1 + (shift - 1) * share) * len(LINEAR)).long()
