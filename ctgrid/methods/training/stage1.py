"""Training of stage 1: grids of coarse slices."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial, reduce
from operator import mul
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ctgrid.base.draws import integer, normal, uniform
from ctgrid.data.grids import GridPlan, draw_plan
from ctgrid.methods.training.diffusion import diffusion_loss, draw_timestep, save_stage
from ctgrid.methods.training.drawn_keyframes import DrawnKeyframes
from ctgrid.methods.training.pictures import grid_picture
from ctgrid.methods.training.recipes import GridRecipe
from ctgrid.methods.training.teacher import Teacher
from ctgrid.scan.grid import from_grid, to_grid
from ctgrid.stages.codecs.codecs import Codec
from ctgrid.stages.diffusion.known import cell_timesteps, cells_mask
from ctgrid.stages.models.facts import StageFacts
from ctgrid.stages.networks.dit import DiT
from ctgrid.stages.networks.stacked import network_sizes, on_grids


class GridTask:
    """Predict noise (or v) on grids drawn from coarse volumes.

    Where those hold latents of single cells, a grid of any start and stride is put together without the codec;
    where they hold images, every drawn grid is encoded, cell by cell or whole as ``cell_encoding`` says.
    """

    def __init__(
        self,
        recipe: GridRecipe,
        coarse: Tensor | Sequence[Any],
        codec: Codec,
        facts: StageFacts,
        thick: Collection[int] = (),
        bone: Tensor | None = None,
        drawn: DrawnKeyframes | None = None,
        channels: Tensor | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        """Take the recipe and what it draws from.

        Args:
            recipe: the stage's part of the config.
            coarse: (volumes, slices, c, s, s) cell latents, or (volumes, slices, 1, h, w) images; or a sequence of
                volumes that read the slices they are indexed with.
            codec: encodes grids where ``coarse`` holds images.
            facts: saved beside the weights.
            thick: numbers of volumes, not all, that no window is drawn from: what lies between their slices was
                interpolated.
            bone: (volumes, slices, 1, s, s), where cells hold bone, from 0 to 1; see ``bone_weight`` of the recipe.
            drawn: keyframes for the recipe's ``drawn_share`` of grids.
            channels: (c,), what the channels of latents weigh in the loss; None all the same.
            teacher: whose estimates are targets where ``taught_by`` of the recipe says so.
        """
        self.bone, self.drawn, self.channels, self.teacher = bone, drawn, channels, teacher
        self.recipe, self.coarse, self.codec, self.facts = recipe, coarse, codec, facts
        self.thick = frozenset(thick)
        self.fine = [number for number in range(len(coarse)) if number not in self.thick]

    def build(self) -> nn.Module:
        """Return an untrained :class:`DiT` that fits the recipe's codec, grid and size."""
        recipe, codec = self.recipe, self.codec
        side, channels = recipe.grid_size // codec.downsample, codec.latent_channels
        sizes: dict[str, Any] = {**network_sizes(recipe.layout, recipe.k, side, channels)}
        return DiT(**sizes, **recipe.network)

    def example(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw a grid (c, S, S) with its slice indices (K²,), known cells (K²,), timestep and noise."""
        recipe = self.recipe
        if self.drawn is not None and uniform(generator) < recipe.drawn_share:
            return self._example(*self.drawn.window(self.coarse, generator), generator)
        number = integer(0, len(self.coarse), generator)
        volume = self.coarse[number]
        plan = draw_plan(
            len(volume),
            recipe.k,
            generator,
            recipe.strides,
            recipe.keyframe_share,
            recipe.window_share,
            recipe.unknown_share,
            recipe.mending_share,
            recipe.starts,
            recipe.reversed_share,
        )
        if plan.window and number in self.thick:
            number = self.fine[integer(0, len(self.fine), generator)]
            volume = self.coarse[number]
        return self._example(volume[plan.shown], plan, number, generator)

    def _example(self, cells: Tensor, plan: GridPlan, number: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Put the cells of a plan together, with timestep and noise."""
        recipe = self.recipe
        bone = {} if self.bone is None else {"bone": to_grid(self.bone[number][plan.shown], recipe.k)[0].float()}
        side = recipe.grid_size // self.codec.downsample
        return {
            "grid": to_grid(cells, recipe.k)[0].float(),
            "z_index": plan.index.float(),
            "known": plan.known,
            "timestep": draw_timestep(generator, recipe.window_shift if plan.window else recipe.timestep_shift),
            "noise": normal((self.codec.latent_channels, side, side), generator),
            **bone,
        }

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the diffusion loss on the cells that are not known."""
        latent = self.encoded(batch["grid"])
        network = on_grids(network, self.recipe.layout, self.recipe.k)
        network_config = self.recipe.network
        inputs = {"z_index": batch["z_index"]} if network_config.get("absolute_z") else {}
        levels, timestep, weights = None, batch["timestep"], []
        if self.recipe.knows_cells:
            timestep = cell_timesteps(timestep, batch["known"])
            levels, known = (cells_mask(c, self.recipe.k, latent.shape[-1]) for c in (timestep, batch["known"]))
            weights.append((~known).float())
        if "bone" in batch:
            weights.append(1 + self.recipe.bone_weight * batch["bone"])
        if self.channels is not None:
            weights.append(self.channels.to(latent.device)[:, None, None])
        weight = reduce(mul, weights) if weights else None
        taught = None
        if self.teacher is not None:
            taught = partial(self.teacher.target, latent, batch["timestep"], batch["known"], inputs)
        return diffusion_loss(
            network,
            self.recipe,
            latent,
            batch["noise"],
            timestep,
            levels=levels,
            weight=weight,
            target=taught,
            **inputs,
        )

    def encoded(self, grids: Tensor) -> Tensor:
        """Return grids (B, c, S/8, S/8) as they are, and images of grids (B, 1, S, S) encoded."""
        if grids.shape[-1] != self.recipe.grid_size:
            return grids
        codec, k = self.codec.to(grids.device), self.recipe.k
        if self.recipe.cell_encoding == "grid":
            return codec.encode(grids)
        return to_grid(codec.encode(from_grid(grids, k)), k)

    def picture(self, network: Any, generator: torch.Generator, steps: int) -> Tensor:
        """Return what the network makes now, see :func:`ctgrid.methods.training.pictures.grid_picture`."""
        return grid_picture(self.recipe, self.codec, self.example(generator), network, steps)

    def save(self, network: Any, folder: Path) -> None:
        """Write weights, config and facts."""
        save_stage(network, folder, self.facts)
