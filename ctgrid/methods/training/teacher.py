"""Another model's stage 1 as teacher: at high noise the target is what it estimates, not the clean latent.

High noise decides whose chest a seed becomes. A network that is trained on, with a loss or layers of its own, drifts to
other people there; taught so, it keeps those of the teacher's seeds and learns from volumes at lower noise alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ctgrid.base.errors import CtgridError
from ctgrid.methods.training.recipes import GridRecipe
from ctgrid.stages.codecs.codecs import Codec, load_codec
from ctgrid.stages.models.bundle import load_stage, model_folder
from ctgrid.stages.models.facts import StageFacts

SHARED = ("prediction", "layout", "cell_encoding", "k", "size", "factor", "slices")
"""What a teacher's facts and the recipe have in common."""


@dataclass(frozen=True)
class Teacher:
    """A network whose estimates are targets of grids without known cells.

    Attributes:
        network: predicts x0.
        above: from this timestep on.
    """

    network: nn.Module
    above: int

    def target(
        self, latent: Tensor, timestep: Tensor, known: Tensor, inputs: Mapping[str, Tensor], noisy: Tensor
    ) -> Tensor:
        """Return what the loss compares an estimate with, (B, C, H, W).

        Args:
            latent: x0, (B, C, H, W), the target of all other grids.
            timestep: (B,).
            known: (B, K²), the cells that are given clean.
            inputs: (B, ...), by the network's names.
            noisy: what the network that is trained sees, (B, C, H, W).
        """
        rows = (timestep >= self.above) & ~known.any(dim=1)
        if not rows.any():
            return latent
        network = self.network.to(noisy.device)
        with torch.no_grad():
            estimate = network(noisy[rows], timestep[rows], **{name: value[rows] for name, value in inputs.items()})
        return latent.index_put((rows,), estimate[:, : latent.shape[1]].to(latent))


def teacher_of(recipe: GridRecipe, codec: Codec) -> Teacher | None:
    """Load the teacher that a recipe names; None where it names none.

    Args:
        recipe: the kind's part of the config.
        codec: the recipe's, which the teacher must have been trained on.

    Raises:
        CtgridError: where there is no such model, or it is of other grids or latents than the recipe's.
    """
    if recipe.taught_by is None:
        return None
    try:
        folder = model_folder(recipe.taught_by)
    except CtgridError as error:
        raise CtgridError(f"stage1.taught_by: {error}") from error
    facts = StageFacts.read(folder / "stage1")
    for name in SHARED:
        theirs, ours = getattr(facts, name), getattr(recipe, name)
        if theirs != ours:
            raise CtgridError(f"stage1.taught_by {recipe.taught_by} has {name} {theirs}, the recipe has {ours}")
    network = load_stage(folder / "stage1")
    if network.absolute_z != bool(recipe.network.get("absolute_z")):
        raise CtgridError(
            f"stage1.taught_by {recipe.taught_by} has absolute_z {network.absolute_z}: set network.absolute_z likewise"
        )
    if load_codec(folder / "codec").identity != codec.identity:
        raise CtgridError(f"stage1.taught_by {recipe.taught_by} has another codec than {recipe.codec}: name its own")
    return Teacher(network, recipe.taught_from)
