"""One training run, from a recipe's name and a folder of volumes to a folder with a model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ctgrid.data.volumes import find_volumes, load_folder
from ctgrid.errors import CtgridError
from ctgrid.files import atomic_output
from ctgrid.progress import Progress, silent
from ctgrid.training.config import CodecRecipe, GridRecipe, Kind, TrainConfig, load_config
from ctgrid.training.loop import fit
from ctgrid.training.task import Task

MAY_CHANGE = {"steps", "decay_steps", "checkpoint_every", "keep_last"}
"""Numbers that may differ when a run is resumed."""


def train(
    kind: Kind,
    config: str | Path,
    data: str | Path,
    out: str | Path,
    *,
    resume: bool = False,
    max_steps: int | None = None,
    seed: int | None = None,
    overrides: dict[str, Any] | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train the codec or one of the two diffusion stages on a folder of CT volumes.

    Args:
        kind: ``codec``, ``stage1`` or ``stage2``.
        config: a shipped recipe's name or a YAML file.
        data: folder of volumes.
        out: the run's folder; made where its parent exists. Holds config.json, log.jsonl, checkpoints, model.
        resume: go on from the newest checkpoint in ``out``; required where one exists.
        max_steps: stop after this many steps; the learning rate still follows the recipe's
            ``optimisation.steps``, unless that is smaller.
        seed: replaces the recipe's seed.
        overrides: dotted keys of the recipe to new values.
        progress: called with (phase, done, total).

    Returns:
        The summary of :func:`ctgrid.training.loop.fit` with ``config`` (the whole recipe) and ``volumes``.

    Raises:
        CtgridError: for a wrong recipe, missing data, or a run folder that holds another run.
    """
    if max_steps is not None and max_steps < 1:
        raise CtgridError(f"max_steps must be at least 1, got {max_steps}")
    changes = dict(overrides or {})
    if seed is not None:
        changes["seed"] = seed
    recipe = load_config(config, kind, changes)
    if max_steps is not None and max_steps > recipe.optimisation.steps:
        recipe = load_config(config, kind, {**changes, "optimisation.steps": max_steps})
    out = Path(out)
    check_run_folder(out, recipe, resume)
    check_inputs(recipe, Path(data))
    new = not out.exists()
    out.mkdir(exist_ok=True)
    try:
        with atomic_output(out / "config.json", overwrite=True) as temporary:
            temporary.write_text(recipe.model_dump_json(indent=1) + "\n")
        task, volumes = make_task(recipe, Path(data), out, progress)
    except BaseException:
        if new:
            shutil.rmtree(out, ignore_errors=True)
        raise
    summary = fit(
        task,
        recipe.optimisation,
        recipe.seed,
        out,
        resume=resume,
        stop_at=max_steps,
        progress=progress,
    )
    return {**summary, "config": recipe.model_dump(mode="json"), "volumes": volumes}


def make_task(recipe: TrainConfig, data: Path, out: Path, progress: Progress) -> tuple[Task, list[str]]:
    """Read the data that a recipe needs and return its task and the volumes' names."""
    part = recipe.recipe
    volumes = load_folder(data, part.size, recipe.exclude, progress)
    names = [volume.name for volume in volumes]
    if isinstance(part, CodecRecipe):
        from ctgrid.training.codec import CodecTask

        return CodecTask(part, volumes), names
    from ctgrid.training.inputs import grid_task, refine_task

    make = grid_task if isinstance(part, GridRecipe) else refine_task
    return make(part, volumes, out / "latents.safetensors", recipe.seed, progress), names  # type: ignore[arg-type]


def check_inputs(recipe: TrainConfig, data: Path) -> None:
    """Refuse what would otherwise fail only after the volumes were read.

    Raises:
        CtgridError: for a folder without volumes, a codec that is not there, or a network that cannot be built.
    """
    import torch

    part, nothing = recipe.recipe, torch.empty(0)
    task: Task
    if isinstance(part, CodecRecipe):
        from ctgrid.training.codec import CodecTask

        task = CodecTask(part, [])
    else:
        from ctgrid.models.bundle import StageFacts
        from ctgrid.models.codecs import load_codec
        from ctgrid.training.inputs import codec_folder
        from ctgrid.training.stage1 import GridTask
        from ctgrid.training.stage2 import RefineTask

        codec, facts = load_codec(codec_folder(part.codec)), StageFacts()
        if isinstance(part, GridRecipe):
            task = GridTask(part, nothing, codec, facts)
        else:
            task = RefineTask(part, nothing, nothing, codec, facts)
    try:
        with torch.device("meta"):  # shapes alone, no weights
            task.build()
    except (TypeError, CtgridError) as error:
        raise CtgridError(f"{recipe.kind}.network: {error}") from error
    find_volumes(data, recipe.exclude)


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
    before = json.loads(path.read_text(encoding="utf-8"))
    now = recipe.model_dump(mode="json")
    for values in (before, now):
        values["optimisation"] = {k: v for k, v in values["optimisation"].items() if k not in MAY_CHANGE}
    if before != now:
        different = [k for k in now if now[k] != before.get(k)]
        raise CtgridError(
            f"{path.parent}: cannot resume, the recipe differs in {', '.join(different)}; "
            "use the recipe the run was started with, or another --out"
        )
