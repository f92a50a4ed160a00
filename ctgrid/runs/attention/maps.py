"""Attention of stage 1 over a grid that it made, by block and level of noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctgrid.base.draws import generator_for
from ctgrid.base.errors import CtgridError
from ctgrid.base.precision import autocast
from ctgrid.base.progress import Progress, silent
from ctgrid.methods.synthesis.pipeline import SynthesisPipeline
from ctgrid.methods.synthesis.settings import Settings
from ctgrid.runs.attention.settings import AttentionSettings
from ctgrid.scan.grid import to_grid
from ctgrid.stages.cells import decode_cells, sample_cells, z_of
from ctgrid.stages.diffusion.schedule import LINEAR
from ctgrid.stages.networks.attention_maps import attention_maps, shares
from ctgrid.stages.schedules import autoregressive, hierarchical

NOISE = 7
"""Names the stream of the noise that is put on the grid, behind the seed."""


@dataclass(frozen=True)
class Attended:
    """What one grid's tokens attend to.

    Attributes:
        image: the grid image (1, S, S) in [-1, 1].
        cells_per_side: K.
        maps: by timestep and block, (N, N) float32, cell by cell.
        rows: of the table: ``timestep``, ``block`` and the shares.
    """

    image: Tensor
    cells_per_side: int
    maps: dict[tuple[int, int], Tensor]
    rows: list[dict[str, Any]]


def attend_grid(pipeline: SynthesisPipeline, asked: AttentionSettings, progress: Progress = silent) -> Attended:
    """Sample the first grid of a volume, put noise on it, and keep what stage 1 attends to while it looks at that.

    Args:
        pipeline: the loaded model.
        asked: seed, levels and blocks.
        progress: called meanwhile.

    Raises:
        CtgridError: for a model without grids (layout ``channels``), or a block that there is not.
    """
    bundle = pipeline.bundle
    network, facts = bundle.stage1, bundle.facts1
    if facts.layout != "grid":
        raise CtgridError(
            f"model {bundle.name}: its cells lie in channels, so none attends to another; take a grid model"
        )
    slices = facts.slices if network.absolute_z else facts.k**2
    settings = Settings(slices=slices, steps=asked.steps, sampler=asked.sampler).resolved(bundle)
    window = (hierarchical(slices, facts.k) if network.absolute_z else autoregressive(slices, facts.k))[0][0]
    with autocast(pipeline.device, pipeline.dtype):
        cells, _ = sample_cells(bundle, [[window]], slices, seeds=[asked.seed], progress=progress, **settings.sampling)
        cells = cells[0, torch.from_numpy(np.maximum(window.target, 0))]
        image = to_grid(decode_cells(bundle, cells, settings.batch_size), facts.k)[0]
    latent = to_grid(cells, facts.k).to(pipeline.device)
    noise = torch.randn(latent.shape, generator=generator_for(asked.seed, NOISE)).to(latent)
    inputs = {}
    if network.absolute_z:
        inputs["z_index"] = z_of(torch.from_numpy(window.position)[None], slices, facts.slices).to(latent.device)
    depth = len(network.blocks)
    blocks = asked.block or tuple(dict.fromkeys((0, depth // 2, depth - 1)))
    maps: dict[tuple[int, int], Tensor] = {}
    rows = []
    for number, timestep in enumerate(asked.timestep):
        level = torch.full((1,), timestep, device=latent.device)
        with autocast(pipeline.device, pipeline.dtype):
            found = attention_maps(network, blocks, LINEAR.q_sample(latent, level, noise), level, **inputs)
        for block, attention in found.items():
            maps[timestep, block] = attention[0]
            rows.append({"timestep": timestep, "block": block, **shares(attention, facts.k**2)})
        progress("attention", number + 1, len(asked.timestep))
    return Attended(image, facts.k, maps, rows)
