"""Turn a DiT checkpoint into the start of another: the other stage, another latent size, other positions."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch

from ctgrid.base.errors import CtgridError
from ctgrid.stages.networks.positions import Positions, identify_table, position_table
from ctgrid.stages.weights.checkpoints import UNKNOWN, Checkpoint
from ctgrid.stages.weights.published import PATCHES, POSITIONS

Stage = Literal[1, 2]


def for_stage(checkpoint: Checkpoint, stage: Stage | None) -> Checkpoint:
    """Make a checkpoint serve as a stage.

    A network without a condition becomes stage 2 by a wider patch projection: its weights fill the half of the
    noisy latent, the half of the condition starts at zero, so that at first it answers as before.

    Raises:
        CtgridError: for stage 1 of a network that takes a condition.
    """
    config = checkpoint.config
    if stage is None or stage == checkpoint.stage:
        return checkpoint
    if stage == 1:
        fed = config["in_channels"] + config["condition_channels"]
        raise CtgridError(
            f"{checkpoint.path}: takes a condition ({fed} channels in), so it is a stage 2 and cannot become stage 1"
        )
    weight = checkpoint.tensors[PATCHES]
    tensors = {**checkpoint.tensors, PATCHES: torch.cat([weight, torch.zeros_like(weight)], dim=1)}
    config = {**config, "condition_channels": config["in_channels"], "cells_per_side": 1, "absolute_z": False}
    return replace(checkpoint, config=config, tensors=tensors).deciding(
        "patch_projection", "widened for the condition, whose half starts at zero"
    )


def with_table(checkpoint: Checkpoint, latent_size: int | None, positions: Positions | None) -> Checkpoint:
    """Give a checkpoint the position table of another latent size or another mode.

    Args:
        checkpoint: what was read.
        latent_size: side of the latent; None keeps it.
        positions: None keeps the mode of the checkpoint's own table.

    Raises:
        CtgridError: where the own table follows no known mode and the size changes, or sizes do not divide.
    """
    config, old = checkpoint.config, checkpoint.config["latent_size"]
    size = latent_size or old
    if size == old and positions is None:
        return checkpoint
    if positions is None and checkpoint.positions == UNKNOWN:
        raise CtgridError(
            f"{checkpoint.path}: its position table is none of grid, depth_major, 2d, so it cannot be made for latents "
            f"of {size} instead of {old}; choose one with --positions, or keep the size"
        )
    cells = config["cells_per_side"]
    found = None if positions else identify_table(checkpoint.tensors[POSITIONS])
    mode, k = found or (positions or "grid", cells)
    if size % (config["patch_size"] * max(cells, k)):
        raise CtgridError(
            f"{checkpoint.path}: latents of {size} cannot be divided into patches of {config['patch_size']} in "
            f"{max(cells, k)} x {max(cells, k)} cells; choose another --latent-size"
        )
    table = position_table(config["width"], size // config["patch_size"], k, mode)[None]
    done = f"{mode}, made for {size} x {size} latents" if size != old else f"{mode}, instead of the checkpoint's own"
    changed = replace(
        checkpoint,
        config={**config, "latent_size": size, "positions": mode},
        tensors={**checkpoint.tensors, POSITIONS: table},
        positions=mode,
    )
    return changed.deciding("positions", done)
