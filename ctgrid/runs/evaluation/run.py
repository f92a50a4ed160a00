"""The commands ``ctgrid evaluate`` as calls of Python: measured, drawn, tabled, with the record of the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctgrid.base.errors import CtgridError
from ctgrid.base.extras import require
from ctgrid.base.files import check_apart, check_folder
from ctgrid.base.privacy import hides, without_paths
from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.record_place import RECORD
from ctgrid.base.settings import gather, spelled_out
from ctgrid.runs.evaluation.settings import (
    DenoisingRequest,
    TrialRequest,
    UpscalingRequest,
)

if TYPE_CHECKING:
    from ctgrid.runs.evaluation.results import Results
from ctgrid.runs.evaluation.evaluated import Evaluated, save_text

Draw = Callable[[Sequence[dict[str, Any]], Path], list[Path]]


@spelled_out(DenoisingRequest, "changes")
def compare_denoising(
    clean: Sequence[Path | str],
    out: Path | str,
    request: DenoisingRequest | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> Evaluated:
    """Add noise to clean scans, denoise by every method, measure; goes on where it was stopped.

    Writes ``results.json``, ``table.md``, ``curves.png``, and a picture and the noise-power spectra of every case.

    Args:
        clean: scans with as little noise as can be had.
        out: folder.
        request: how; None takes the defaults.
        argv: the command line, for the record.
        progress: called with (phase, done, total).
        changes: settings other than the request's, by name; ``noise`` must be given.

    Raises:
        CtgridError: before any work for what cannot be done.
    """
    from ctgrid.runs.evaluation import denoising_plots
    from ctgrid.runs.evaluation.denoising import evaluate_denoising

    asked, scans = gather(DenoisingRequest, changes, request), [Path(path) for path in clean]
    record = RunRecord("evaluate denoising", Path(out) / RECORD, list(argv))
    files = ("results.json", "table.md")
    return _tried(record, asked, scans, files, evaluate_denoising, denoising_plots.draw_denoising, progress)


@spelled_out(TrialRequest, "changes")
def compare_on_nodules(
    clean: Sequence[Path | str],
    out: Path | str,
    request: TrialRequest | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> Evaluated:
    """Plant small nodules in clean scans, add noise, denoise; report contrast kept and structures invented.

    Writes ``nodules.json``, ``nodules.md`` and a picture of every case. ``slices`` takes unbroken ranges here.

    Args:
        clean: see :func:`compare_denoising`; likewise the others.
        out: folder.
        request: how.
        argv: the command line.
        progress: called with (phase, done, total).
        changes: settings.

    Raises:
        CtgridError: before any work for what cannot be done.
    """
    from ctgrid.runs.evaluation import nodule_plots
    from ctgrid.runs.evaluation.nodule_trial import evaluate_nodules

    asked, scans = gather(TrialRequest, changes, request), [Path(path) for path in clean]
    record = RunRecord("evaluate nodules", Path(out) / RECORD, list(argv))
    files = ("nodules.json", "nodules.md")
    return _tried(record, asked, scans, files, evaluate_nodules, nodule_plots.draw_nodules, progress)


@spelled_out(UpscalingRequest, "changes")
def compare_upscaling(
    real: Sequence[Path | str],
    out: Path | str,
    request: UpscalingRequest | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> Evaluated:
    """Shrink real slices as grids do, bring them back by every method, measure; goes on where it was stopped.

    Writes ``results.json``, ``table.md`` and a picture of every volume.

    Args:
        real: volumes that the model was not trained on, folders or stores.
        out: folder.
        request: how; None takes the defaults.
        argv: the command line, for the record.
        progress: called with (phase, done, total).
        changes: settings other than the request's, by name.

    Raises:
        CtgridError: before any work for what cannot be done.
    """
    from ctgrid.runs.evaluation.lost import Lost
    from ctgrid.runs.evaluation.samples import open_samples
    from ctgrid.runs.evaluation.super_resolution import evaluate_super_resolution
    from ctgrid.runs.evaluation.super_resolution_plots import draw_super_resolution

    asked, folder = gather(UpscalingRequest, changes, request), Path(out)
    plan, volumes = asked.plan(), [Path(path) for path in real]
    full_size, factor = plan.shape()
    record = RunRecord("evaluate super-resolution", folder / RECORD, list(argv), plan.seed)
    record.settings = {**asdict(plan), "size": full_size, "k": factor}

    def evaluate() -> Results:
        lost = Lost()  # what is measured goes on without; what is fitted on has to be whole
        seen = [one for path in volumes for one in open_samples(path, size=full_size, lost=lost, progress=progress)]
        fitted = [one for path in asked.train for one in open_samples(path, size=full_size, progress=progress)]
        found = evaluate_super_resolution(
            seen, plan, folder, train=fitted, overwrite=asked.overwrite, progress=progress
        )
        found.failed = [*lost.lines, *found.failed]
        return found

    return _measured(record, ("results.json", "table.md"), [*volumes, *asked.train], evaluate, draw_super_resolution)


def _tried(
    record: RunRecord,
    request: TrialRequest,
    clean: list[Path],
    files: tuple[str, str],
    evaluate: Callable[..., Results],
    draw: Draw,
    progress: Progress,
) -> Evaluated:
    """Compare denoising methods in one way or another."""
    from ctgrid.runs.evaluation.denoising_plan import check_inputs

    plan = request.plan()
    check_inputs(clean, plan)
    record.seed, record.settings = plan.seed, {**asdict(plan), "noises": [str(noise) for noise in plan.noises]}
    work = partial(evaluate, clean, plan, record.path.parent, overwrite=request.overwrite, progress=progress)
    return _measured(record, files, clean, work, draw)


def _measured(
    record: RunRecord, files: tuple[str, str], inputs: Sequence[Path], evaluate: Callable[[], Results], draw: Draw
) -> Evaluated:
    """Check the folder, evaluate into it, write the table, draw, and note inputs and outputs."""
    from ctgrid.runs.results.kinds import describe
    from ctgrid.runs.results.markdown import description_markdown

    folder = record.path.parent
    results, table = (folder / name for name in files)
    check_folder(folder)
    check_apart(folder, inputs)
    require("matplotlib")
    with recorded(record, owns=[folder]):
        try:
            with record.timed("evaluate"):
                found = evaluate()
        finally:
            record.worth_keeping = results.exists()
        if found.failed:
            known = [str(path) for path in inputs]
            record.results["left_out"] = without_paths(found.failed, *known) if hides() else found.failed
        text = description_markdown(describe(found.content))
        with record.timed("draw"):
            save_text(table, text)
            pictures = draw(found.rows, folder)
        for path in inputs:
            with suppress(*([CtgridError] if found.failed else [])):
                record.add_input(path)
        for path in (found.path, table, *pictures):
            record.add_output(path)
    return Evaluated(record, found.content, found.path)
