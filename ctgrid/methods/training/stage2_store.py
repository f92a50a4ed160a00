"""Stage 2's examples from a store."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ctgrid.base.draws import integer
from ctgrid.data.degrade import DegradationTensors, draw_degradation, shrink
from ctgrid.data.stored import StoreSlices
from ctgrid.methods.training.recipes import RefineRecipe
from ctgrid.methods.training.stage2_drawn import DrawnRefineTask
from ctgrid.stages.codecs.codecs import Codec
from ctgrid.stages.latents.stored import StoredLatents
from ctgrid.stages.models.facts import StageFacts


class StoredRefineTask(DrawnRefineTask):
    """Slices of a store, or the latents that it keeps of them."""

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
        super().__init__(recipe, codec, facts)
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
        coarse = volume.coarse(row)[None]
        if recipe.degradation == "published":  # the store's are antialiased
            coarse = shrink(volume.unit(row)[None, None], recipe.factor, "published")[0]
        example = self.drawn(coarse, degradation, degradation.grain, generator)
        if self.latents is None:
            return {**example, "slice": volume.unit(row)[None]}
        return {**example, "latent": self.latents[number].mean(row)}

    def latent(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the stored latents of a batch's slices, or encode them."""
        if "latent" in batch:
            return batch["latent"]
        return self.codec.to(batch["slice"].device).encode(batch["slice"])
