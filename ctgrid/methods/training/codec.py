"""Training of the embedded autoencoder, of the whole or of a lighter decoder behind an encoder that is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ctgrid.base.draws import integer, normal
from ctgrid.base.errors import CtgridError
from ctgrid.data.degrade import enlarge
from ctgrid.data.volumes import SliceSource
from ctgrid.methods.training.recipes import CodecRecipe
from ctgrid.scan.grid import downsample
from ctgrid.stages.codecs.codecs import load_codec
from ctgrid.stages.codecs.unshuffle_codec import DOWNSAMPLE, UnshuffleCodec

STATISTICS_EXAMPLES = 64
"""Examples from which the latents' mean and standard deviation are measured after training."""


class CodecTask:
    """Reconstruct crops of full slices and whole cells: L1 + L2 + a small Kullback-Leibler term.

    A network with a second encoder learns besides what the first makes of a crop shrunk and enlarged again. Where
    the recipe keeps the encoder of another codec, latents stay that codec's, and models trained on them fit.
    """

    def __init__(self, recipe: CodecRecipe, volumes: Sequence[SliceSource]) -> None:
        """Take the recipe and the volumes it draws slices from, in memory or in a store."""
        self.recipe = recipe
        self.volumes = volumes
        self.kept = None if recipe.encoder_of is None else load_codec(recipe.encoder_of).network

    def build(self) -> nn.Module:
        """Return an untrained :class:`UnshuffleCodec`, but for an encoder that is kept.

        Raises:
            CtgridError: where the encoder to keep is of another class, or of other sizes.
        """
        colour = self.recipe.video is not None and not self.recipe.video.gray
        network = UnshuffleCodec(**{**self.recipe.network, **({"image_channels": 3} if colour else {})})
        if self.kept is not None:
            _keep_encoder(network, self.kept, str(self.recipe.encoder_of))
        return network

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
        crops = self._terms(network, batch["crop"], batch["crop_noise"], self.recipe.coarse_factor)
        cells = self._terms(network, batch["cells"].flatten(0, 1), batch["cells_noise"].flatten(0, 1))
        terms = {key: 0.5 * (crops[key] + cells[key]) for key in cells}
        loss = terms["l1"] + terms["mse"] + self.recipe.kl_weight * terms["kl"]
        if "coarse" in crops:
            terms["coarse"] = crops["coarse"]
            loss = loss + terms["coarse"]
        return {"loss": loss, **terms, "crop_mse": crops["mse"], "cell_mse": cells["mse"]}

    def picture(self, network: Any, generator: torch.Generator, steps: int) -> Tensor:
        """Return a drawn crop beside its reconstruction (crop, 2 crop); ``steps`` is for samplers."""
        crop = self.example(generator)["crop"][None].to(next(network.parameters()).device)
        again = network.reconstruct(network.posterior(crop)[0])
        return torch.cat([crop[0, 0], again[0, 0].to(crop.dtype)], dim=1)

    def save(self, network: Any, folder: Path) -> None:
        """Measure the latents' mean and spread per channel, put both in the config, and save.

        Behind an encoder that is kept they are that codec's own.
        """
        if self.recipe.encoder_of is None:
            self._measure(network)
        network.save_pretrained(folder)

    def _measure(self, network: Any) -> None:
        """Put the latents' mean and spread per channel into the config."""
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

    def _terms(
        self, network: nn.Module, images: Tensor, noise: Tensor, coarse_factor: int | None = None
    ) -> dict[str, Tensor]:
        """Return the terms of the loss; with ``coarse_factor`` that of the second encoder too."""
        coarse = None if coarse_factor is None else downsample(images, coarse_factor).clamp(-1, 1)
        reconstruction, mean, log_variance, guess = network(images, noise, coarse)
        difference = reconstruction.float() - images
        mean, log_variance = mean.float(), log_variance.float()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).mean()
        terms = {"l1": difference.abs().mean(), "mse": difference.square().mean(), "kl": kl}
        if coarse is not None and coarse_factor is not None:
            plain: Any = getattr(network, "module", network)  # a wrapper has no method but forward
            with torch.no_grad():
                wanted = plain.posterior(enlarge(coarse, coarse_factor))[0].float()
            spread = plain.normalisation()[1]
            terms["coarse"] = ((guess.float() - wanted) / spread).square().mean()
        return terms


def _keep_encoder(network: UnshuffleCodec, kept: Any, source: str) -> None:
    """Give a network the encoder of another and its latents' mean and spread, and keep both from training.

    Raises:
        CtgridError: where that is of another class, or its encoder of other sizes.
    """
    if type(kept) is not type(network):
        needed = type(network).__name__
        raise CtgridError(f"codec.encoder_of: {source} is a {type(kept).__name__}, a network of {needed} is needed")
    meta = next(network.parameters()).is_meta  # a network of shapes alone
    try:
        network.encoder.load_state_dict(kept.encoder.state_dict(), assign=meta)
    except RuntimeError as error:
        raise CtgridError(
            f"codec.encoder_of: the encoder of {source} has other sizes than codec.network asks for; copy its "
            "latent_channels, encoder_width, encoder_blocks, fine_width and fine_blocks"
        ) from error
    network.encoder.requires_grad_(False)
    network.register_to_config(latents_mean=kept.config["latents_mean"], latents_std=kept.config["latents_std"])


def _with_channels(image: Tensor) -> Tensor:
    """Return (1, H, W) for a gray image (H, W), and a colour one (3, H, W) as it is."""
    return image[None] if image.ndim == 2 else image


def _flip(image: Tensor, generator: torch.Generator) -> Tensor:
    """Turn an image by a multiple of 90 degrees and mirror it half the time: texture has no handedness."""
    image = torch.rot90(image, integer(0, 4, generator), (-2, -1))
    return image.flip(-1) if integer(0, 2, generator) else image
