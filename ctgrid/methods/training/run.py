"""One training run, from a recipe's name and a folder or store of volumes to a folder with a model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ctgrid.base.devices import choose_device
from ctgrid.base.documents import legible
from ctgrid.base.errors import CtgridError
from ctgrid.base.extras import require
from ctgrid.base.files import atomic_output, check_apart
from ctgrid.base.precision import recipe_dtype
from ctgrid.base.progress import Progress, silent, unheard
from ctgrid.methods.training.config import Kind, TrainConfig, load_config
from ctgrid.methods.training.data import (
    Selection,
    TrainingData,
    check_same_data,
    open_data,
    write_data_record,
)
from ctgrid.methods.training.loop import fit
from ctgrid.methods.training.recipes import CodecRecipe, DiffusionRecipe, GridRecipe, RefineRecipe
from ctgrid.methods.training.settled import settled
from ctgrid.methods.training.start import read_start, recorded_start, write_start
from ctgrid.methods.training.task import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctgrid.data.volumes import VolumeSlices
from ctgrid.methods.training.checks import check_network, check_run_folder


@dataclass(frozen=True)
class Opened:
    """Volumes in memory that several runs share.

    Attributes:
        volumes: to train on.
        held_out: to validate on; None for no validation.
        cache: folder that keeps what is made ahead of them, for every recipe that asks for the same.
        seed: of what is made ahead, whatever the runs' own seeds.
    """

    volumes: TrainingData
    held_out: TrainingData | None
    cache: Path
    seed: int = 0


def train(
    kind: Kind,
    config: str | Path,
    data: str | Path,
    out: str | Path,
    *,
    split: str | None = None,
    fraction: float | None = None,
    resume: bool = False,
    max_steps: int | None = None,
    seed: int | None = None,
    overrides: dict[str, Any] | None = None,
    opened: Opened | None = None,
    metadata: Sequence[str | Path] = (),
    notice: Callable[[str], object] = unheard,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train the codec, one of the two stages or the detail network on a folder of CT volumes or a store.

    Args:
        kind: ``codec``, ``stage1``, ``stage2`` or ``detail``.
        config: a shipped recipe's name or a YAML file.
        data: folder of volumes, or a store that ``ctgrid prepare`` made.
        out: the run's folder; made where its parent exists. Holds config.json, data.json, log.jsonl, checkpoints,
            model.
        split: ``FILE:PART``, a list ``FILE.txt``, or ``ct-rate:train``; None takes all volumes. With the part
            ``train`` of a split that has ``valid``, the latter is what validation looks at.
        fraction: percent of the patients taken, after the split.
        resume: go on from the newest whole checkpoint in ``out``; required where one exists.
        max_steps: stop after this many steps; the learning rate still follows the recipe's
            ``optimisation.steps``, unless that is smaller.
        seed: replaces the recipe's seed.
        overrides: dotted keys of the recipe to new values.
        opened: volumes that several runs share, in place of those of ``data``, ``split`` and ``fraction``.
        metadata: the collection's tables, where ``data`` is a folder of stored values.
        notice: called with a line about what training starts from, where the recipe names weights.
        progress: called with (phase, done, total).

    Returns:
        The summary of ``fit`` with ``config`` (the whole recipe), ``volumes``, ``start`` where training started from
        weights, and ``models`` where other models drew or taught.

    Raises:
        CtgridError: for a wrong recipe, missing data, or a run folder that holds another run.
    """
    from ctgrid.data.store import is_store

    if max_steps is not None and max_steps < 1:
        raise CtgridError(f"max_steps must be at least 1, got {max_steps}")
    changes = dict(overrides or {})
    if seed is not None:
        changes["seed"] = seed
    recipe = load_config(config, kind, changes)
    if max_steps is not None and max_steps > recipe.optimisation.steps:
        recipe = load_config(config, kind, {**changes, "optimisation.steps": max_steps})
    for package in ("accelerate", "tensorboard") if recipe.monitor.tensorboard else ("accelerate",):
        require(package)
    out = Path(out)
    recipe = settled(recipe, choose_device(), out if resume else None)
    selection = Selection(Path(data), recipe.exclude, split, fraction, metadata=tuple(Path(p) for p in metadata))
    if is_store(selection.path):  # where the run would count as a volume
        check_apart(out, [selection.path])
    check_run_folder(out, recipe, resume)
    codec = codec_identity(recipe)
    network = check_network(recipe)
    begun = resume and any((out / "checkpoints").glob("step_*"))  # its weights are its own by now
    start = None if begun or recipe.recipe.start is None else read_start(recipe.kind, recipe.recipe.start, network)
    if start is not None:
        notice(start.line())
    volumes = opened.volumes if opened is not None else open_data(selection, recipe.recipe, progress)
    if resume:
        check_same_data(out, volumes, codec)
    new = not out.exists()
    out.mkdir(exist_ok=True)
    try:
        with atomic_output(out / "config.json", overwrite=True) as temporary:
            temporary.write_text(legible(recipe.model_dump_json(indent=1)) + "\n", encoding="utf-8")
        write_data_record(out, volumes, codec)
        if start is not None:
            write_start(out, start)
        if opened is None:
            task = make_task(recipe, volumes, out / "latents.safetensors", progress)
            held_out = validation_task(recipe, selection, out / "latents-valid.safetensors", progress)
        else:
            task, held_out = shared_tasks(recipe, opened, progress)
        models = models_asked(recipe)
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
        validation=recipe.validation,
        monitor=recipe.monitor,
        held_out=held_out,
        start=None if start is None else start.fill,
        progress=progress,
    )
    if recipe.recipe.start is not None:
        summary["start"] = recorded_start(out)
    if models:
        summary["models"] = models
    return {**summary, "config": recipe.model_dump(mode="json"), "volumes": volumes.names, "data": volumes.facts}


def models_asked(recipe: TrainConfig) -> dict[str, str]:
    """Return hashes of models that draw keyframes or teach, by the recipe's keys: names may be others tomorrow."""
    part = recipe.recipe
    if not isinstance(part, GridRecipe):
        return {}
    from ctgrid.stages.models.parts import digest_of_model

    names = {"drawn_by": part.drawn_by if part.drawn_share else None, "taught_by": part.taught_by}
    return {key: digest_of_model(name) for key, name in names.items() if name is not None}


def make_task(recipe: TrainConfig, data: TrainingData, cache: Path, progress: Progress) -> Task:
    """Return the task of a recipe on data.

    Args:
        recipe: the whole recipe, its precision decided.
        data: see :func:`ctgrid.methods.training.data.open_data`.
        cache: file that keeps what is made ahead of a folder's volumes.
        progress: called with (phase, done, total).
    """
    part = recipe.recipe
    if isinstance(part, CodecRecipe) and part.clips:
        from ctgrid.methods.training.clip_codec import ClipCodecTask

        return ClipCodecTask(part, data.volumes)
    if isinstance(part, CodecRecipe):
        from ctgrid.methods.training.codec import CodecTask

        return CodecTask(part, data.volumes)
    from ctgrid.methods.training.inputs import Inputs, grid_task, refine_task

    inputs = Inputs(data, cache, recipe.seed, progress, recipe_dtype(recipe.optimisation.precision))
    if isinstance(part, GridRecipe):
        return grid_task(part, inputs)
    if isinstance(part, RefineRecipe):
        return refine_task(part, inputs)
    from ctgrid.methods.training.detail import detail_task

    volumes = cast("Sequence[VolumeSlices]", data.volumes)  # a store's are read into memory for this kind
    return detail_task(part, volumes, data.digests, cache, recipe.seed, progress)


def validation_task(recipe: TrainConfig, selection: Selection, cache: Path, progress: Progress) -> Task | None:
    """Return the task on the part ``valid`` of a split; None where the recipe never looks, or there is no such part."""
    held_out = selection.held_out(recipe.recipe) if recipe.validation.every else None
    if held_out is None:
        return None
    return make_task(for_held_out(recipe), open_data(held_out, recipe.recipe, progress), cache, progress)


def for_held_out(recipe: TrainConfig) -> TrainConfig:
    """Return a recipe without what a model makes of volumes: keyframes that it drew, targets that it estimates.

    It was trained on others, and what a validation measures are the volumes themselves.
    """
    part = recipe.recipe
    if not isinstance(part, GridRecipe) or not (part.drawn_share or part.taught_by):
        return recipe
    alone = part.model_copy(update={"drawn_share": 0.0, "taught_by": None})
    return recipe.model_copy(update={recipe.kind: alone})


def shared_tasks(recipe: TrainConfig, opened: Opened, progress: Progress) -> tuple[Task, Task | None]:
    """Return the tasks on training and on held-out volumes that several runs share."""
    ahead = recipe.model_copy(update={"seed": opened.seed})
    task = make_task(ahead, opened.volumes, opened.cache, progress)
    if opened.held_out is None or not recipe.validation.every:
        return task, None
    return task, make_task(for_held_out(ahead), opened.held_out, opened.cache, progress)


def codec_identity(recipe: TrainConfig) -> str | None:
    """Return the identity of the codec that a stage trains on; None where a recipe names none."""
    if not isinstance(recipe.recipe, DiffusionRecipe):
        return None
    from ctgrid.stages.codecs.codecs import load_codec

    return load_codec(recipe.recipe.codec).identity
