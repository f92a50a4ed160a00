"""What a stage makes at the moment, as a picture to look at while it is trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ctgrid.methods.training.recipes import GridRecipe
from ctgrid.scan.grid import from_grid, to_grid
from ctgrid.stages.codecs.codecs import Codec
from ctgrid.stages.diffusion.sampling import sample
from ctgrid.stages.diffusion.schedule import Prediction
from ctgrid.stages.networks.stacked import on_grids


def grid_picture(recipe: GridRecipe, codec: Codec, example: dict[str, Tensor], network: Any, steps: int) -> Tensor:
    """Sample a grid from noise, its places along z drawn as in training; return it decoded (S, S) in [-1, 1].

    Args:
        recipe: stage 1's.
        codec: what it trains with.
        example: one of the task's, for the places and the noise.
        network: with the weights to look at.
        steps: of the sampler.
    """
    example = {name: value[None] for name, value in example.items()}
    device = next(network.parameters()).device
    latent = sample(
        on_grids(network, recipe.layout, recipe.k),
        example["noise"].to(device),
        steps=steps,
        sampler="dpm++",
        z_index=example["z_index"].to(device) if recipe.network.get("absolute_z") else None,
        prediction=recipe.prediction,
    )
    codec, k = codec.to(device), recipe.k
    if recipe.cell_encoding == "grid":
        return gray(codec.decode(latent.float()))
    return gray(to_grid(codec.decode(from_grid(latent.float(), k)), k))


def refine_picture(
    prediction: Prediction, codec: Codec, noise: Tensor, condition: Tensor, truth: Tensor, network: Any, steps: int
) -> Tensor:
    """Refine a slice; return condition, result and truth side by side (S, 3 S) in [-1, 1].

    Args:
        prediction: what the network predicts.
        codec: what it trains with.
        noise: (1, c, S/8, S/8), on the network's device; likewise the others.
        condition: latent of the enlarged coarse slice.
        truth: latent of the slice itself.
        network: with the weights to look at.
        steps: of the sampler.
    """
    made = sample(network, noise, steps=steps, sampler="dpm++", condition=condition, prediction=prediction)
    codec = codec.to(noise.device)
    return torch.cat([gray(codec.decode(x.float())) for x in (condition, made, truth)], dim=1)


def gray(images: Tensor) -> Tensor:
    """Return the first image of a batch (B, C, H, W) as (H, W), its channels averaged."""
    return images[0].mean(dim=0)
