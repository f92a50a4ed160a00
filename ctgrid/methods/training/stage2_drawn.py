"""Stage 2's examples drawn as images: degraded and encoded in whole batches, where the network is."""

from __future__ import annotations

import torch
from torch import Tensor

from ctgrid.base.draws import normal, uniform
from ctgrid.data.degrade import DegradationTensors, degrade_batch, enlarge
from ctgrid.methods.training.diffusion import draw_timestep
from ctgrid.methods.training.recipes import RefineRecipe
from ctgrid.methods.training.stage2 import RefineTask
from ctgrid.stages.codecs.codecs import Codec
from ctgrid.stages.models.facts import StageFacts


class DrawnRefineTask(RefineTask):
    """As :class:`RefineTask`, with nothing made ahead: every example draws a degradation of its own.

    Attributes:
        conditions: the codec that encodes what is degraded.
    """

    def __init__(self, recipe: RefineRecipe, codec: Codec, facts: StageFacts) -> None:
        """Take the recipe, the codec, and what is saved beside the weights."""
        super().__init__(recipe, torch.empty(0), torch.empty(0), codec, facts)
        self.conditions = codec

    def drawn(
        self, coarse: Tensor, degradation: DegradationTensors, grain: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Return what every example holds beside its slice: the coarse one (C, s, s), how it is degraded, noise."""
        side = self.recipe.size // self.codec.downsample
        return {
            "coarse": coarse,
            "through_codec": torch.tensor(uniform(generator) < self.recipe.codec_share),
            "grain": grain,
            "sigma": degradation.sigma,
            "kernel": degradation.kernel,
            "timestep": draw_timestep(generator),
            "noise": normal((self.codec.latent_channels, side, side), generator),
        }

    def condition(self, batch: dict[str, Tensor]) -> Tensor:
        """Enlarge the coarse slices, degrade them (Listing 1) and encode them.

        Those marked ``through_codec`` pass through the codec at the coarse size first, as stage 1's output does.
        """
        coarse = batch["coarse"]
        codec = self.codec.to(coarse.device)
        if self.recipe.codec_share > 0:
            again = codec.decode(codec.encode(coarse))
            coarse = torch.where(batch["through_codec"].view(-1, 1, 1, 1), again, coarse)
        large, way = enlarge(coarse, self.recipe.factor), self.recipe.degradation
        return self.conditions.encode(degrade_batch(large, batch["grain"], batch["sigma"], batch["kernel"], way))
