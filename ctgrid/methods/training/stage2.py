"""Training of stage 2: a full slice given its coarse version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ctgrid.base.draws import integer, normal
from ctgrid.methods.training.diffusion import diffusion_loss, draw_timestep, save_stage
from ctgrid.methods.training.pictures import refine_picture
from ctgrid.methods.training.recipes import RefineRecipe
from ctgrid.stages.codecs.codecs import Codec
from ctgrid.stages.models.facts import StageFacts
from ctgrid.stages.networks.dit import DiT


class RefineTask:
    """Predict noise (or v) on latents of slices, conditioned on latents of their coarse versions."""

    def __init__(self, recipe: RefineRecipe, fine: Tensor, coarse: Tensor, codec: Codec, facts: StageFacts) -> None:
        """Take the recipe and the latents it draws from.

        Args:
            recipe: the stage's part of the config.
            fine: (n, c, S/8, S/8) latents of slices.
            coarse: (n, degradations, c, S/8, S/8) latents of their coarse versions.
            codec: made the latents; gives the network's channels.
            facts: saved beside the weights.
        """
        self.recipe, self.fine, self.coarse, self.codec, self.facts = recipe, fine, coarse, codec, facts

    def build(self) -> nn.Module:
        """Return an untrained conditional :class:`DiT`."""
        return DiT(
            latent_size=self.recipe.size // self.codec.downsample,
            in_channels=self.codec.latent_channels,
            condition_channels=self.codec.latent_channels,
            cells_per_side=1,
            **self.recipe.network,
        )

    def example(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw a slice's latent and one of its conditions, both (c, S/8, S/8), a timestep and noise."""
        index = integer(0, len(self.fine), generator)
        version = integer(0, self.coarse.shape[1], generator)
        fine = self.fine[index].float()
        return {
            "latent": fine,
            "condition": self.coarse[index, version].float(),
            "timestep": draw_timestep(generator),
            "noise": normal(tuple(fine.shape), generator),
        }

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the conditional diffusion loss."""
        return diffusion_loss(
            network,
            self.recipe,
            self.latent(batch),
            batch["noise"],
            batch["timestep"],
            condition=self.condition(batch),
        )

    def latent(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the latents of a batch's slices (B, c, S/8, S/8)."""
        return batch["latent"]

    def condition(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the latents of a batch's degraded coarse slices (B, c, S/8, S/8)."""
        return batch["condition"]

    def picture(self, network: Any, generator: torch.Generator, steps: int) -> Tensor:
        """Return what the network makes now, see :func:`ctgrid.methods.training.pictures.refine_picture`."""
        device = next(network.parameters()).device
        batch = {name: value[None].to(device) for name, value in self.example(generator).items()}
        condition, truth = self.condition(batch).float(), self.latent(batch)
        return refine_picture(self.recipe.prediction, self.codec, batch["noise"], condition, truth, network, steps)

    def save(self, network: Any, folder: Path) -> None:
        """Write weights, config and facts."""
        save_stage(network, folder, self.facts)
