"""Training of the embedded autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ctgrid.data.volumes import SliceSource
from ctgrid.draws import integer, normal
from ctgrid.models.unshuffle_codec import DOWNSAMPLE, UnshuffleCodec
from ctgrid.training.config import CodecRecipe

STATISTICS_EXAMPLES = 64
"""Examples from which the latents' mean and standard deviation are measured after training."""


class CodecTask:
    """Reconstruct crops of full slices and whole cells: L1 + L2 + a small Kullback-Leibler term."""

    def __init__(self, recipe: CodecRecipe, volumes: Sequence[SliceSource]) -> None:
        """Take the recipe and the volumes it draws slices from, in memory or in a store."""
        self.recipe = recipe
        self.volumes = volumes

    def build(self) -> nn.Module:
        """Return an untrained :class:`UnshuffleCodec`."""
        colour = self.recipe.video is not None and not self.recipe.video.gray
        return UnshuffleCodec(**{**self.recipe.network, **({"image_channels": 3} if colour else {})})

    def example(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw one crop (1, crop, crop) and its cells (cells_per_crop, 1, cell, cell) with their noise."""
        recipe = self.recipe
        crop = _flip(self._crop(generator), generator)
        cells = torch.stack([_flip(self._cell(generator), generator) for _ in range(recipe.cells_per_crop)])
        channels = recipe.network.get("latent_channels", 8)
        crop_side, cell_side = recipe.crop // DOWNSAMPLE, recipe.cell // DOWNSAMPLE
        return {
            "crop": crop,
            "crop_noise": normal((channels, crop_side, crop_side), generator),
            "cells": cells,
            "cells_noise": normal((recipe.cells_per_crop, channels, cell_side, cell_side), generator),
        }

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Average the losses of crops and cells, pixel for pixel."""
        crops = self._terms(network, batch["crop"], batch["crop_noise"])
        cells = self._terms(network, batch["cells"].flatten(0, 1), batch["cells_noise"].flatten(0, 1))
        terms = {key: 0.5 * (crops[key] + cells[key]) for key in crops}
        loss = terms["l1"] + terms["mse"] + self.recipe.kl_weight * terms["kl"]
        return {"loss": loss, **terms, "crop_mse": crops["mse"], "cell_mse": cells["mse"]}

    def picture(self, network: Any, generator: torch.Generator, steps: int) -> Tensor:
        """Return a drawn crop beside its reconstruction (crop, 2 crop); ``steps`` is for samplers."""
        crop = self.example(generator)["crop"][None].to(next(network.parameters()).device)
        again = network.reconstruct(network.posterior(crop)[0])
        return torch.cat([crop[0, 0], again[0, 0].to(crop.dtype)], dim=1)

    def save(self, network: Any, folder: Path) -> None:
        """Measure the latents' mean and spread per channel, put both in the config, and save."""
        generator = torch.Generator().manual_seed(0)
        device = next(network.parameters()).device
        latents = []
        with torch.no_grad():
            for _ in range(STATISTICS_EXAMPLES):
                example = self.example(generator)
                for images in (example["crop"][None], example["cells"]):
                    mean = network.posterior(images.to(device))[0].float().cpu()
                    latents.append(mean.transpose(0, 1).flatten(1))
        values = torch.cat(latents, dim=1)
        network.register_to_config(
            latents_mean=[round(v, 6) for v in values.mean(dim=1).tolist()],
            latents_std=[round(v, 6) for v in values.std(dim=1).tolist()],
        )
        network.save_pretrained(folder)

    def _place(self, generator: torch.Generator) -> tuple[SliceSource, int]:
        volume = self.volumes[integer(0, len(self.volumes), generator)]
        return volume, integer(0, len(volume), generator)

    def _crop(self, generator: torch.Generator) -> Tensor:
        side, crop = self.recipe.size, self.recipe.crop
        y = integer(0, side - crop + 1, generator)
        x = integer(0, side - crop + 1, generator)
        volume, row = self._place(generator)
        return _with_channels(volume.unit(row)[..., y : y + crop, x : x + crop])

    def _cell(self, generator: torch.Generator) -> Tensor:
        volume, row = self._place(generator)
        return _with_channels(volume.small(row, self.recipe.cell))

    def _terms(self, network: nn.Module, images: Tensor, noise: Tensor) -> dict[str, Tensor]:
        reconstruction, mean, log_variance = network(images, noise)
        difference = reconstruction.float() - images
        mean, log_variance = mean.float(), log_variance.float()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).mean()
        return {"l1": difference.abs().mean(), "mse": difference.square().mean(), "kl": kl}


def _with_channels(image: Tensor) -> Tensor:
    """Return (1, H, W) for a gray image (H, W), and a colour one (3, H, W) as it is."""
    return image[None] if image.ndim == 2 else image


def _flip(image: Tensor, generator: torch.Generator) -> Tensor:
    """Turn an image by a multiple of 90 degrees and mirror it half the time: texture has no handedness."""
    image = torch.rot90(image, integer(0, 4, generator), (-2, -1))
    return image.flip(-1) if integer(0, 2, generator) else image
