"""A recipe with its open choices made, by the machine or by the run that goes on."""

from __future__ import annotations

from pathlib import Path

import torch

from ctgrid.base.documents import dict_of
from ctgrid.base.precision import choose_precision
from ctgrid.methods.training.config import TrainConfig


def settled(recipe: TrainConfig, device: torch.device, run: Path | None = None, elsewhere: bool = False) -> TrainConfig:
    """Return a recipe whose precision ``auto`` is decided.

    Args:
        recipe: as read.
        device: trained on.
        run: folder of a run that goes on; it keeps the precision it was started with, whatever the hardware.
        elsewhere: for a machine that is not this one, of which bf16 is expected.

    Raises:
        CtgridError: for a precision that does not train on the device.
    """
    settings = recipe.optimisation
    precision: str = settings.precision
    if precision == "auto" and run is not None:
        precision = _recorded(run / "config.json")
    if elsewhere:
        precision = "bf16" if precision == "auto" else precision
    else:
        precision = choose_precision(precision, device, sharded=settings.sharding == "fsdp")
    return recipe.model_copy(update={"optimisation": settings.model_copy(update={"precision": precision})})


def _recorded(path: Path) -> str:
    """Return the precision that a run's record holds; ``auto`` where there is none."""
    optimisation = dict_of(path).get("optimisation")
    found = optimisation.get("precision") if isinstance(optimisation, dict) else None
    return found if isinstance(found, str) else "auto"
