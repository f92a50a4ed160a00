"""Stage 2's examples from a store: drawn as images, degraded and encoded in whole batches, where the network is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ctgrid.base.draws import integer, normal, uniform
from ctgrid.data.degrade import DegradationTensors, degrade_batch, draw_degradation, enlarge, shrink
from ctgrid.data.stored import StoreSlices
from ctgrid.methods.training.diffusion import draw_timestep
from ctgrid.methods.training.recipes import RefineRecipe
from ctgrid.methods.training.stage2 import RefineTask
from ctgrid.stages.codecs.codecs import Codec
from ctgrid.stages.latents.stored import StoredLatents
from ctgrid.stages.models.bundle import StageFacts


class StoredRefineTask(RefineTask):
    """As :class:`RefineTask`, with nothing made ahead: every example draws a degradation of its own."""

    def __init__(
        self,
        recipe: RefineRecipe,
        volumes: Sequence[StoreSlices],
        latents: Sequence[StoredLatents] | None,
        codec: Codec,
        facts: StageFacts,
    ) -> None:
        """Take the recipe and the volumes.

        Args:
            recipe: the stage's part of the config.
            volumes: of a store.
            latents: of the volumes' full-size slices, where the store keeps them; None encodes what is drawn.
            codec: encodes.
            facts: saved beside the weights.
        """
        nothing = torch.empty(0)
        super().__init__(recipe, nothing, nothing, codec, facts)
        self.volumes, self.latents = volumes, latents
        self.conditions = codec.widest() if recipe.degradation == "published" else codec

    def example(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw a slice (1, S, S) or its latent, its coarse slice (1, s, s), a degradation, a timestep and noise."""
        recipe = self.recipe
        number = integer(0, len(self.volumes), generator)
        volume = self.volumes[number]
        row = integer(0, len(volume), generator)
        drawn = draw_degradation(generator, recipe.noise_levels, recipe.blur_share)
        degradation = DegradationTensors.of(drawn, recipe.size, self.conditions.channels)
        side = recipe.size // self.codec.downsample
        coarse = volume.coarse(row)[None]
        if recipe.degradation == "published":  # the store's are antialiased
            coarse = shrink(volume.unit(row)[None, None], recipe.factor, "published")[0]
        example = {
            "coarse": coarse,
            "through_codec": torch.tensor(uniform(generator) < recipe.codec_share),
            "grain": degradation.grain,
            "sigma": degradation.sigma,
            "kernel": degradation.kernel,
            "timestep": draw_timestep(generator),
            "noise": normal((self.codec.latent_channels, side, side), generator),
        }
        if self.latents is None:
            return {**example, "slice": volume.unit(row)[None]}
        return {**example, "latent": self.latents[number].mean(row)}

    def latent(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the stored latents of a batch's slices, or encode them."""
        if "latent" in batch:
            return batch["latent"]
        return self.codec.to(batch["slice"].device).encode(batch["slice"])

    def condition(self, batch: dict[str, Tensor]) -> Tensor:
        """Enlarge the coarse slices, degrade them (Listing 1) and encode them.

        Those marked ``through_codec`` pass through the codec at the coarse size first, as stage 1's output does.
        """
        coarse = batch["coarse"]
        codec = self.codec.to(coarse.device)
        if self.recipe.codec_share > 0:
            again = codec.decode(codec.encode(coarse))
            coarse = torch.where(batch["through_codec"].view(-1, 1, 1, 1), again, coarse)
        large = enlarge(coarse, self.recipe.factor)
        degraded = degrade_batch(large, batch["grain"], batch["sigma"], batch["kernel"], self.recipe.degradation)
        return self.conditions.encode(degraded)
