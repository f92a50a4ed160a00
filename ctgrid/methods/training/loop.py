"""The one training loop: accelerate, EMA, warm-up, accumulation, clipping, checkpoints, exact resume.

Every example is a function of the seed and its running number alone, so the data order needs no state,
and the same run on more processes sees the same examples.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from ctgrid.base.interrupt import StopSignals
from ctgrid.base.present import Present
from ctgrid.base.progress import Progress, silent
from ctgrid.methods.training.checkpoints import trim_log
from ctgrid.methods.training.monitor import Journal
from ctgrid.methods.training.optimisation import Monitor, Optimisation, Validation
from ctgrid.methods.training.task import Task
from ctgrid.methods.training.trainer import Trainer
from ctgrid.methods.training.validation import Validator


def fit(
    task: Task,
    settings: Optimisation,
    seed: int,
    out: Path,
    *,
    resume: bool = False,
    stop_at: int | None = None,
    validation: Validation | None = None,
    monitor: Monitor | None = None,
    held_out: Task | None = None,
    start: Callable[[nn.Module], None] | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train until ``settings.steps`` optimizer steps are done.

    Writes ``out/log.jsonl`` (one object per optimizer step), ``out/checkpoints/step_*`` and, at the end,
    ``out/model`` with the averaged (EMA) weights; with validation also ``out/validation.jsonl`` and
    ``out/pictures``. SIGINT, SIGTERM and SIGHUP end the run after the current step with
    a checkpoint, and raise KeyboardInterrupt. A damaged checkpoint, or another learning rate than before, is a warning.

    Args:
        task: what to train.
        settings: the loop's numbers.
        seed: seed of the starting weights and of every example.
        out: the run's folder; must exist.
        resume: go on from the newest whole checkpoint, where there is one.
        stop_at: end after this many steps; the learning rate goes on following ``settings.steps``, so that
            a run in several parts equals one in a single part.
        validation: how often the averaged weights are looked at; None never.
        monitor: where numbers and pictures go besides; None nowhere.
        held_out: the same task on validation data; without it only pictures are made, of the training data.
        start: puts weights into the fresh network; a checkpoint that is resumed replaces them.
        progress: called after every optimizer step.

    Returns:
        ``steps``, ``first_step``, ``last`` (the last step's numbers), ``seconds``, ``model`` (the folder).

    Raises:
        CtgridError: where the loss is not finite, or the checkpoint does not fit.
    """
    started = time.perf_counter()
    trainer = Trainer(task, settings, seed, out, start)
    first = trainer.restore() if resume else 0
    main = trainer.accelerator.is_main_process
    validator = Validator(trainer, held_out, validation)
    values: dict[str, float] = {}
    last = settings.steps if stop_at is None else stop_at
    if main:
        trim_log(out / "validation.jsonl", first)
        trim_log(out / "log.jsonl", first)
    with (
        StopSignals() as stop,
        Present(out) as present,
        Journal(out, monitor if main else None, first) as journal,
        trainer.batches,
    ):
        for step in range(first, last):
            values = trainer.step(step)
            present.check()
            if main:
                journal.step(values)
            done, stopping = step + 1, trainer.agree(stop.received)  # read once: no stop without its checkpoint
            if done % settings.checkpoint_every == 0 or done == last or stopping:
                journal.settle()
                trainer.save(done)
            if validator.due(done, last) and not stopping:
                progress("validating", 0, 1)
                look = validator.look(done)
                if main:
                    journal.look(done, *look)
            progress("training", done, last)
            if stopping and done < last:
                raise stop.stopped()
    model = out / "model"
    if main:
        trainer.checkpoints.publish(model)
    return {
        "steps": max(first, last),
        "first_step": first,
        "last": values,
        "seconds": round(time.perf_counter() - started, 2),
        "model": str(model),
    }
