"""``ctgrid denoise`` as calls of Python: scans, or a quick look at one, each with the record of the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ctgrid.base.devices import repeatable
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import check_apart, check_output, check_suffix
from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.record_place import RECORD, record_beside
from ctgrid.base.settings import gather, recorded_settings, spelled_out
from ctgrid.runs.denoising.bench import CaseBench, Entry
from ctgrid.runs.denoising.cases import denoise_cases
from ctgrid.runs.denoising.jobs import DenoisingPlan, plan_jobs
from ctgrid.runs.denoising.preview import preview
from ctgrid.runs.denoising.settings import Request

Paths = Path | str | Sequence[Path | str]


@spelled_out(Request, "changes")
def denoise_scans(
    sources: Paths,
    out: Path | str | None = None,
    request: Request | None = None,
    *,
    argv: Sequence[str] = (),
    on_plan: Callable[[DenoisingPlan], None] = lambda plan: None,
    on_case: Callable[[Entry], None] = lambda entry: None,
    progress: Progress = silent,
    **changes: Any,
) -> RunRecord:
    """Denoise scans and write the results with a run record; one that fails does not stop the others.

    Args:
        sources: volumes, and folders that are searched for them.
        out: see :func:`ctgrid.runs.denoising.jobs.plan_jobs`; None writes beside each input, as ``IN_denoised``.
        request: how; None takes the defaults.
        argv: the command line, for the record.
        on_plan: called with what will be done, before any work.
        on_case: called with every case's entry.
        progress: called with (phase, done, total) within a case.
        changes: settings other than the request's, by name; those of the method among them.

    Returns:
        The record, whose ``results`` hold an entry per case.

    Raises:
        CtgridError: as :func:`ctgrid.runs.denoising.cases.denoise_cases`.
    """
    bench = CaseBench(gather(Request, changes, request or Request()))
    asked = bench.request
    record = _record(bench, argv)
    target = None if out is None else Path(out)
    trust = None if asked.trust is None else Path(asked.trust)
    plan = plan_jobs(_listed(sources), target, residual=asked.residual, picture=asked.picture, trust=trust)
    record.path = _place(plan)
    on_plan(plan)
    entries: list[Entry] = []

    def note(entry: Entry) -> None:
        entries.append(entry)
        record.worth_keeping = record.worth_keeping or entry["status"] == "done"
        on_case(entry)

    with repeatable(asked.deterministic), recorded(record, owns=plan.owned, replaces=not plan.many):
        try:
            denoise_cases(plan, asked, bench=bench, on_case=note, progress=progress)
        finally:
            _note(record, entries, bench)
            record.results["left_out"] = plan.earlier
            record.path, record.parts = _place(plan), _parts(record, plan, entries)
    return record


@spelled_out(Request, "changes")
def preview_denoising(
    source: Path | str,
    picture: Path | str,
    request: Request | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> RunRecord:
    """Denoise a few slices of one scan and draw them before and after, with a run record; no volume is written.

    Args:
        source: the scan.
        picture: the PNG.
        request: how; None takes the defaults.
        argv: the command line, for the record.
        progress: called with (phase, done, total).
        changes: settings other than the request's, by name.

    Raises:
        CtgridError: where the scan cannot be read, denoised or drawn.
    """
    source, path = Path(source), Path(picture)
    bench = CaseBench(gather(Request, changes, request or Request()))
    record = _record(bench, argv)
    check_suffix(path, (".png",), "a preview")
    check_apart(path, [source])
    check_output(path, bench.request.overwrite)
    record.path = record_beside(path)
    with repeatable(bench.request.deterministic), recorded(record):
        entry = preview(source, path, bench, progress)
        record.add_input(source)
        record.outputs += entry["outputs"]
        _note(record, [entry], bench)
    return record


def counts(entries: Sequence[Entry]) -> dict[str, int]:
    """Return how many cases are done, kept and failed."""
    return {status: sum(entry["status"] == status for entry in entries) for status in ("done", "kept", "failed")}


def _listed(sources: Paths) -> list[Path]:
    given = [sources] if isinstance(sources, str | Path) else sources
    if not given:
        raise CtgridError("there is nothing to denoise: no scan was given")
    return [Path(source) for source in given]


def _place(plan: DenoisingPlan) -> Path:
    """Return where the record lies: beside the one result, or of many in the first of their folders that is there."""
    if not plan.many:
        return record_beside(plan.jobs[0].out)
    return next((f for f in plan.folders if f.exists()), plan.folders[0]) / RECORD


def _record(bench: CaseBench, argv: Sequence[str]) -> RunRecord:
    request = bench.request
    record = RunRecord("denoise", Path(RECORD), list(argv), request.settings.get("seed", 0))
    record.settings = {**recorded_settings(request), "method": request.name, "method_asked": request.method}
    return record


def _note(record: RunRecord, entries: Sequence[Entry], bench: CaseBench) -> None:
    """Put what was done into the run record."""
    done = [entry for entry in entries if entry["status"] == "done"]
    record.model = bench.describe()
    record.phases = {"load": bench.seconds}
    record.dit_token_passes = sum(entry["dit_token_passes"] for entry in done)
    for entry in done:
        record.add_phases(entry["phases"])
        if "input" in entry:
            record.inputs.append(_input(entry))
            record.outputs += entry["outputs"]
    record.results = {**counts(entries), "cases": list(entries)}
    if len(entries) == 1 and done:
        record.settings.update(done[0]["settings"])
        record.decisions = _decisions(done[0])


def _input(entry: Entry) -> dict[str, Any]:
    return {**entry["input"], "hu": entry["hu"]}


def _decisions(entry: Entry) -> dict[str, Any]:
    return {"hu": entry["hu"], "noise_hu": entry["noise_hu"]}


def _parts(record: RunRecord, plan: DenoisingPlan, entries: Sequence[Entry]) -> dict[Path, dict[str, Any]]:
    """Return what the record of each of many results says: the run's, as if that had been all of it."""
    return {
        job.out: {
            "seconds": entry["seconds"],
            "phases": entry["phases"],
            "dit_token_passes": entry["dit_token_passes"],
            "settings": {**record.settings, **entry["settings"]},
            "decisions": _decisions(entry),
            "inputs": [_input(entry)],
            "outputs": entry["outputs"],
            "results": {**counts([entry]), "cases": [entry]},
        }
        for job, entry in zip(plan.jobs, entries, strict=False)
        if plan.many and entry["status"] == "done"
    }
