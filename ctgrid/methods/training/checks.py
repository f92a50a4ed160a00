"""What a training run is refused for before its volumes are read: its network, its folder, another recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ctgrid.base.documents import json_of
from ctgrid.base.errors import CtgridError
from ctgrid.methods.training.config import TrainConfig

if TYPE_CHECKING:
    from torch import nn


MAY_CHANGE = {"steps", "decay_steps", "learning_rate", "checkpoint_every", "keep_last", "sharding", "loader_threads"}
"""Numbers of the optimisation that may differ when a run is resumed; what is looked at meanwhile may as well."""


def check_network(recipe: TrainConfig) -> nn.Module:
    """Refuse a network that would otherwise fail only after the volumes were read; return its shapes.

    Raises:
        CtgridError: for a network that cannot be built.
    """
    import torch

    from ctgrid.methods.training.empty import empty_task

    try:
        task = empty_task(recipe)
        with torch.device("meta"):  # shapes alone, no weights
            return task.build()
    except (TypeError, CtgridError) as error:
        raise CtgridError(f"{recipe.kind}.network: {error}") from error


def check_run_folder(out: Path, recipe: TrainConfig, resume: bool) -> None:
    """Make sure that a run can start, or go on, in a folder.

    Raises:
        CtgridError: where its parent is missing, or it holds another run.
    """
    if not out.parent.is_dir():
        raise CtgridError(f"{out.parent}: this folder does not exist; create it first")
    if out.exists() and not out.is_dir():
        raise CtgridError(f"{out}: is a file; a run needs a folder, choose another --out")
    if resume:
        check_same_run(out / "config.json", recipe)
    elif (out / "checkpoints").exists():
        raise CtgridError(f"{out}: holds a run already; pass --resume to go on with it, or choose another --out")


def check_same_run(path: Path, recipe: TrainConfig) -> None:
    """Refuse to resume a run whose recipe differs in anything but the numbers of :data:`MAY_CHANGE`.

    Raises:
        CtgridError: naming what differs.
    """
    if not path.exists():
        return
    before = _with_defaults(json_of(path, "the recipe of a run", "train into another --out"))
    now = recipe.model_dump(mode="json")
    for values in (before, now):
        values["optimisation"] = {
            k: v for k, v in dict(values.get("optimisation") or {}).items() if k not in MAY_CHANGE
        }
        values["validation"] = values["monitor"] = None
    if before != now:
        different = [place for place in _places(now) if _at(now, place) != _at(before, place)]
        raise CtgridError(
            f"{path.parent}: cannot resume, the recipe differs in {', '.join(different)}; "
            "use the recipe the run was started with, or another --out"
        )


def _places(values: dict[str, Any]) -> list[str]:
    """Return the dotted keys of a recipe, two levels deep."""
    return [
        f"{key}.{inner}" if inner else key
        for key, value in values.items()
        for inner in (value if isinstance(value, dict) and value else [""])
    ]


def _at(values: dict[str, Any], place: str) -> Any:
    """Return the value at a dotted key, None where there is none."""
    key, _, inner = place.partition(".")
    found = values.get(key)
    return found if not inner else found.get(inner) if isinstance(found, dict) else None


def _with_defaults(values: dict[str, Any]) -> dict[str, Any]:
    """Add the keys that recipes have got since a run was started; what cannot be read stays as it is."""
    if not isinstance(values, dict):
        return {}
    try:
        return TrainConfig.model_validate(values).model_dump(mode="json")
    except ValidationError:
        return values
