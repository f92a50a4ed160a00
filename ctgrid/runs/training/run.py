"""``ctgrid train`` and ``plan`` as calls of Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctgrid.base.files import check_folder
from ctgrid.base.lean import patient_threads, uncollected
from ctgrid.base.progress import Progress, silent, unheard
from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.record_place import RECORD
from ctgrid.base.settings import gather, spelled_out
from ctgrid.runs.synthesis.ranks import Ranks
from ctgrid.runs.training.settings import PlanSettings, TrainSettings, read_overrides

if TYPE_CHECKING:
    from ctgrid.methods.training.config import Kind
    from ctgrid.methods.training.plan import TrainingPlan


@spelled_out(TrainSettings, "changes")
def train_model(
    kind: Kind,
    data: Path | str,
    out: Path | str,
    settings: TrainSettings | None = None,
    *,
    argv: Sequence[str] = (),
    notice: Callable[[str], object] = unheard,
    progress: Progress = silent,
    **changes: Any,
) -> RunRecord:
    """Train the codec or one of the diffusion stages, with a run record.

    Args:
        kind: ``codec``, ``stage1``, ``stage2`` or ``detail``.
        data: folder of volumes, or a store.
        out: the run's folder; made where its parent exists.
        settings: how; None takes the defaults.
        argv: the command line, for the record.
        notice: called with a line about what training starts from.
        progress: called with (phase, done, total), by the first of several processes.
        changes: settings other than those, by name.

    Returns:
        The record; its ``results`` are what :func:`ctgrid.methods.training.run.train` returns.

    Raises:
        CtgridError: as that.
    """
    asked, folder = gather(TrainSettings, changes, settings or TrainSettings()), Path(out)
    overrides = read_overrides(asked.overrides)
    overrides |= {f"{kind}.video.gray": True} if asked.gray else {}
    overrides |= {f"{kind}.start": asked.init} if asked.init is not None else {}
    config = asked.config or f"embedded-{kind}"
    check_folder(folder)
    record = RunRecord("train", folder / RECORD, list(argv), asked.seed)
    record.settings = {"kind": kind, "config": config, "data": data, "resume": asked.resume, "overrides": overrides}
    record.settings |= {"split": asked.split, "fraction": asked.fraction, "metadata": asked.metadata}
    first = Ranks.here().first  # of several processes one holds the lock, and tells of the work, for all
    progress = progress if first else silent
    with recorded(record, owns=[folder] if first else ()), record.noting_warnings():
        progress("starting", 0, 1)
        from ctgrid.methods.training.run import train

        record.results = train(
            kind,
            config,
            data,
            folder,
            split=asked.split,
            fraction=asked.fraction,
            resume=asked.resume,
            max_steps=asked.max_steps,
            seed=asked.seed,
            overrides=overrides,
            metadata=asked.metadata,
            notice=notice,
            progress=record.kept_from("training", progress),  # the run holds checkpoints
        )
        record.outputs.append({"path": str(folder)})
    return record


@spelled_out(PlanSettings, "changes")
def plan_training(settings: PlanSettings | None = None, *, progress: Progress = silent, **changes: Any) -> TrainingPlan:
    """Foretell parameters, memory and time of a training recipe; nothing is written.

    Args:
        settings: which; None takes the defaults, and ``config`` must be given.
        progress: called with (phase, done, total).
        changes: settings other than those, by name.

    Raises:
        CtgridError: for a recipe that cannot be read, or whose network cannot be built.
    """
    asked = gather(PlanSettings, changes, settings)
    progress("planning", 0, 1)
    with uncollected(), patient_threads():
        from ctgrid.methods.training.config import load_config
        from ctgrid.methods.training.plan import plan

    recipe = load_config(asked.config, None, read_overrides(asked.overrides))
    return plan(recipe, processes=asked.processes, flops_per_second=asked.flops_per_second)
