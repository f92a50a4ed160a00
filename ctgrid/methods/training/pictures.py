"""What a stage makes at the moment, as a picture to look at while it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ctgrid.scan.grid import from_grid, to_grid
from ctgrid.stages.diffusion.sampling import sample
from ctgrid.stages.networks.stacked import on_grids

if TYPE_CHECKING:
    from ctgrid.methods.training.stage1 import GridTask
    from ctgrid.methods.training.stage2 import RefineTask


def grid_picture(task: GridTask, network: Any, generator: torch.Generator, steps: int) -> Tensor:
    """Sample a grid from noise, its places along z drawn as in training; return it decoded (S, S) in [-1, 1].

    Args:
        task: stage 1's.
        network: with the weights to look at.
        generator: of the places and the noise.
        steps: of the sampler.
    """
    example = {name: value[None] for name, value in task.example(generator).items()}
    device = next(network.parameters()).device
    latent = sample(
        on_grids(network, task.recipe.layout, task.recipe.k),
        example["noise"].to(device),
        steps=steps,
        sampler="dpm++",
        z_index=example["z_index"].to(device) if task.recipe.network.get("absolute_z") else None,
        prediction=task.recipe.prediction,
    )
    codec, k = task.codec.to(device), task.recipe.k
    if task.recipe.cell_encoding == "grid":
        return gray(codec.decode(latent.float()))
    return gray(to_grid(codec.decode(from_grid(latent.float(), k)), k))


def refine_picture(task: RefineTask, network: Any, generator: torch.Generator, steps: int) -> Tensor:
    """Refine a drawn slice; return condition, result and truth side by side (S, 3 S) in [-1, 1].

    Args:
        task: stage 2's.
        network: with the weights to look at.
        generator: of the slice and the noise.
        steps: of the sampler.
    """
    device = next(network.parameters()).device
    batch = {name: value[None].to(device) for name, value in task.example(generator).items()}
    condition = task.condition(batch).float()
    made = sample(
        network,
        batch["noise"],
        steps=steps,
        sampler="dpm++",
        condition=condition,
        prediction=task.recipe.prediction,
    )
    codec = task.codec.to(device)
    return torch.cat([gray(codec.decode(x.float())) for x in (condition, made, task.latent(batch))], dim=1)


def gray(images: Tensor) -> Tensor:
    """Return the first image of a batch (B, C, H, W) as (H, W), its channels averaged."""
    return images[0].mean(dim=0)
