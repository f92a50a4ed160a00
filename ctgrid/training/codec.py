"""Training of the embedded autoencoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ctgrid.data.volumes import VolumeSlices
from ctgrid.draws import integer, normal
from ctgrid.models.unshuffle_codec import DOWNSAMPLE, UnshuffleCodec
from ctgrid.training.config import CodecRecipe

STATISTICS_EXAMPLES = 64
"""Examples from which the latents' mean and standard deviation are measured after training."""


class CodecTask:
    """Reconstruct crops of full slices and whole cells: L1 + L2 + a small Kullback-Leibler term."""

    def __init__(self, recipe: CodecRecipe, volumes: list[VolumeSlices]) -> None:
        """Take the recipe and the slices it draws from."""
        self.recipe = recipe
        self.volumes = volumes

    def build(self) -> nn.Module:
        """Return an untrained :class:`UnshuffleCodec`."""
        return UnshuffleCodec(**self.recipe.network)

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

    def _slice(self, generator: torch.Generator) -> Tensor:
        volume = self.volumes[integer(0, len(self.volumes), generator)]
        return volume.unit(integer(0, len(volume.hu), generator))[None]

    def _crop(self, generator: torch.Generator) -> Tensor:
        side, crop = self.recipe.size, self.recipe.crop
        y = integer(0, side - crop + 1, generator)
        x = integer(0, side - crop + 1, generator)
        return self._slice(generator)[:, y : y + crop, x : x + crop]

    def _cell(self, generator: torch.Generator) -> Tensor:
        cell = self.recipe.cell
        coarse = torch.nn.functional.interpolate(
            self._slice(generator)[None], size=(cell, cell), mode="bicubic", antialias=True
        )
        return coarse[0].clamp(-1, 1)

    def _terms(self, network: nn.Module, images: Tensor, noise: Tensor) -> dict[str, Tensor]:
        reconstruction, mean, log_variance = network(images, noise)
        difference = reconstruction.float() - images
        mean, log_variance = mean.float(), log_variance.float()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).mean()
        return {"l1": difference.abs().mean(), "mse": difference.square().mean(), "kl": kl}


def _flip(image: Tensor, generator: torch.Generator) -> Tensor:
    """Turn an image by a multiple of 90 degrees and mirror it half the time: texture has no handedness."""
    image = torch.rot90(image, integer(0, 4, generator), (-2, -1))
    return image.flip(-1) if integer(0, 2, generator) else image
