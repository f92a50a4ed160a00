"""Keyframes as stage 1 makes them, for the network of gaps: in synthesis it is never given a patient's own.

A keyframe grid of a training volume, diffused to some timestep and sampled back by stage 1, is as far off as keyframes
out of noise alone are, and it is still known whose gaps belong between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from ctgrid.base.draws import generator_for, integer
from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.data.grids import GridPlan
from ctgrid.scan.grid import from_grid, to_grid
from ctgrid.stages.cells import z_of
from ctgrid.stages.diffusion.sampling import sample
from ctgrid.stages.diffusion.schedule import LINEAR
from ctgrid.stages.models.bundle import Bundle, model_folder
from ctgrid.stages.models.facts import StageFacts
from ctgrid.stages.schedules import PlannedGrid, hierarchical

DRAWN_VERSION = 1
"""Of what is drawn from given volumes by a given model."""

USUAL_STEPS = 60
"""Network calls from noise alone, where a model does not say how many it is best sampled with."""

NEAR = 0.2
"""Mean square distance to a training volume's keyframes, in variances of all, up to which its gaps are taken to fit."""

BATCH = 16
"""Grids sampled at once, to one timestep."""


@dataclass(frozen=True)
class DrawnKeyframes:
    """Sets of keyframes, and the training volumes that they are nearest to.

    Attributes:
        cells: (sets, K², c, s, s) float16 latents.
        volume: (sets,) int64, numbers of training volumes.
        slices: N, slices of those volumes.
    """

    cells: Tensor
    volume: Tensor
    slices: int

    def without(self, volumes: Sequence[int]) -> DrawnKeyframes:
        """Leave out the sets that are nearest to some volumes.

        Raises:
            CtgridError: where none is left.
        """
        stays = ~torch.isin(self.volume, torch.tensor(volumes, dtype=torch.int64))
        if not stays.any():
            raise CtgridError(
                "all keyframes drawn are of scans in thick slices: raise stage1.window_spacing_mm or drawn_sets"
            )
        return DrawnKeyframes(self.cells[stays], self.volume[stays], self.slices)

    def window(self, coarse: Any, generator: torch.Generator) -> tuple[Tensor, GridPlan, int]:
        """Draw a gap as synthesis fills it.

        Args:
            coarse: the volumes' cells; ``coarse[number][index]`` are (K², c, s, s).
            generator: source of the draws.

        Returns:
            Cells (K², c, s, s) with drawn keyframes for known ones, their plan, and the number of the volume.
        """
        opening, fillings = gaps_of(self.slices, self.cells.shape[1])
        chosen = integer(0, len(self.volume), generator)
        gap = fillings[integer(0, len(fillings), generator)]
        number = int(self.volume[chosen])
        index, known = torch.from_numpy(gap.position).long(), torch.from_numpy(gap.known).clone()
        cells = coarse[number][index].clone()
        place = torch.searchsorted(torch.from_numpy(opening.position).long(), index[known])
        cells[known] = self.cells[chosen, place].to(cells)
        return cells, GridPlan(index, known, window=True), number


@cache
def gaps_of(slices: int, cells: int) -> tuple[PlannedGrid, list[PlannedGrid]]:
    """Return the grid of keyframes of a volume and those that fill its gaps.

    Args:
        slices: N, slices of the volume.
        cells: K².

    Raises:
        CtgridError: where one grid of keyframes does not leave gaps that one grid each fills.
    """
    passes = hierarchical(slices, round(cells**0.5))
    if len(passes) != 2:
        raise CtgridError(
            f"stage1.drawn_share: between {cells} keyframes of {slices} slices there are no gaps of one grid each; set "
            f"stage1.slices to {cells + 1} ... {(cells - 1) ** 2 + 1}"
        )
    return passes[0][0], passes[1]


def check_drawing(model: str, k: int, slices: int, levels: tuple[int, int]) -> None:
    """Make sure, before anything is encoded, that a model draws keyframes of gaps from such timesteps.

    Args:
        model: its name.
        k: cells along a grid's side.
        slices: of the volumes.
        levels: see :func:`draw_keyframes`.

    Raises:
        CtgridError: where there is no such model, or it does not.
    """
    facts = StageFacts.read(model_folder(model) / "stage1")
    gaps_of(slices, k**2)
    if facts.k != k:
        raise CtgridError(f"stage1.drawn_by {model} makes grids of {facts.k} x {facts.k}, the recipe's have {k} x {k}")
    if levels[0] <= (facts.stop or 0):
        raise CtgridError(
            f"stage1.drawn_levels begin at {levels[0]}, but {model} samples down to timestep {facts.stop} alone: begin "
            "above"
        )


def draw_keyframes(
    coarse: Tensor,
    bundle: Bundle,
    *,
    sets: int,
    levels: tuple[int, int],
    seed: int,
    progress: Progress = silent,
) -> DrawnKeyframes:
    """Diffuse the keyframes of training volumes and sample them back by stage 1, several times each.

    Args:
        coarse: (volumes, slices, c, s, s) latents of cells.
        bundle: the model whose stage 1 samples, on the device to compute on; by its own sampler and steps.
        sets: per volume.
        levels: lowest and highest timestep that they are diffused to.
        seed: of timesteps and noise.
        progress: called after every batch.

    Raises:
        CtgridError: for a model that samples no such keyframes, see also :func:`check_drawing`, or none near a volume.
    """
    volumes, slices = coarse.shape[:2]
    model, facts = bundle.stage1, bundle.facts1
    cells = facts.k**2
    opening, _ = gaps_of(slices, cells)
    index = torch.from_numpy(opening.position).long()
    shape = (model.in_channels, model.latent_size // facts.k, model.latent_size // facts.k)
    if facts.layout != "grid" or not model.absolute_z or tuple(coarse.shape[2:]) != shape:
        raise CtgridError(
            f"stage1.drawn_by {bundle.name} samples no keyframes for gaps of this recipe: it needs tiled cells with "
            f"absolute z, and latents of the recipe's {tuple(coarse.shape[2:])}, not {shape}"
        )
    real = to_grid(coarse[:, index].flatten(0, 1).float(), facts.k)
    variance = float(real.var())
    device = bundle.codec.device
    stop = facts.stop or 0
    z_index = z_of(index, slices, facts.slices).to(device)
    wanted = torch.arange(volumes).repeat(sets)
    drawn, nearest = [], []
    for number, first in enumerate(range(0, len(wanted), BATCH)):
        chosen = wanted[first : first + BATCH]
        generator = generator_for(seed, number)
        timestep = integer(levels[0], levels[1] + 1, generator)
        noise = torch.randn(real[chosen].shape, generator=generator)
        latent = sample(
            model,
            LINEAR.q_sample(real[chosen], torch.full((len(chosen),), timestep), noise).to(device),
            steps=LINEAR.calls(facts.steps or USUAL_STEPS, timestep, stop),
            sampler=facts.sampler or "ddpm",
            generator=generator,
            z_index=z_index.expand(len(chosen), -1),
            prediction=facts.prediction,
            start=timestep,
            stop=stop,
        ).cpu()
        apart = torch.cdist(latent.flatten(1), real.flatten(1)).square() / real[0].numel() / variance
        least, which = apart.min(1)
        drawn.append(from_grid(latent, facts.k).unflatten(0, (-1, cells)).half()[least < NEAR])
        nearest.append(which[least < NEAR])
        progress("drawing keyframes", first + len(chosen), len(wanted))
    if not sum(len(part) for part in nearest):
        raise CtgridError(
            f"stage1.drawn_by {bundle.name} makes no keyframes near a training volume from timesteps "
            f"{levels[0]} to {levels[1]}: lower stage1.drawn_levels, or name a model trained on these volumes"
        )
    return DrawnKeyframes(torch.cat(drawn), torch.cat(nearest), slices)
