"""Load a DiT from whatever holds one.

The configuration comes from the tensors' shapes, and from metadata for what shapes cannot tell (attention heads
of an unusual width). A checkpoint's own position table always wins.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.stages.networks.dit import DiT
from ctgrid.stages.weights.bounded import bounded_by
from ctgrid.stages.weights.checkpoints import Checkpoint, check_table, read_checkpoint
from ctgrid.stages.weights.weights import WeightsName, own_copy

logger = logging.getLogger(__name__)


def load_dit(
    path: str | Path,
    *,
    heads: int | None = None,
    cells_per_side: int | None = None,
    weights: WeightsName | None = None,
) -> DiT:
    """Load a DiT, in float32 and evaluation mode.

    Its ``positions_report`` says which of the three position tables the checkpoint carries, or ``unknown``.

    Args:
        path: ``.pt`` (a state dict, or a training checkpoint with ``ema``, ``model``, ``args``),
            ``.safetensors``, a folder of ours or of diffusers, or a training run.
        heads: attention heads, where neither the width nor the metadata tells.
        cells_per_side: K, where the position table does not tell (``2d``): 4 without a condition, else 1.
        weights: ``ema`` or ``model`` of a training checkpoint; None prefers ``ema``.

    Raises:
        CtgridError: if the file is missing, cannot be read safely, or is not a DiT.
    """
    return build(read_checkpoint(path, heads=heads, cells_per_side=cells_per_side, weights=weights))


def build(checkpoint: Checkpoint) -> DiT:
    """Build the network and copy the tensors into it, in float32 and evaluation mode.

    Raises:
        CtgridError: if tensors are missing, superfluous, of wrong shapes or not finite, or heads are unknown.
    """
    path, config, tensors = checkpoint.path, checkpoint.config, checkpoint.tensors
    if config["heads"] is None:
        raise CtgridError(
            f"{path}: the heads of a DiT of width {config['width']} are not recorded; pass --heads (heads= in Python)"
        )
    check_table(config, str(path))
    try:
        with torch.device("meta"), bounded_by(tensors):  # shapes alone: initial weights would be thrown away
            model = DiT(**config)
    except (CtgridError, TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise CtgridError(f"{path}: no DiT can have its configuration: {reason_of(error)}") from error
    _check_fit(path, model.state_dict(), tensors)
    state = {}
    for name, tensor in tensors.items():
        state[name] = own_copy(tensor)
        if state[name].numel() and not all(bound.isfinite() for bound in state[name].aminmax()):
            raise CtgridError(
                f"{path}: {name} holds values that are not finite; the training diverged or the file is bad"
            )
    model.load_state_dict(state, assign=True)
    model.positions_report = checkpoint.positions
    logger.info("%s: positions %s", path, checkpoint.positions)
    return model.eval()


def _check_fit(path: Path, wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Compare names and shapes.

    Raises:
        CtgridError: with the first few that are missing, superfluous or of another shape, and how many.
    """
    wrong = [n for n in given if n in wanted and given[n].shape != wanted[n].shape]
    complaints = {
        "missing": [n for n in wanted if n not in given],
        "superfluous": [n for n in given if n not in wanted],
        "of another shape": [f"{n} {tuple(given[n].shape)} not {tuple(wanted[n].shape)}" for n in wrong],
    }
    words = [f"{len(names)} {what} ({_few(names)})" for what, names in complaints.items() if names]
    if words:
        raise CtgridError(f"{path}: not a DiT checkpoint this version knows: tensors {', '.join(words)}")


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
