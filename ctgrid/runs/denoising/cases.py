"""Denoise many cases with one loaded method: read, denoise, write, journal; a bad case does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.base.causes import out_of_memory
from ctgrid.base.documents import plain
from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.base.files import check_folder
from ctgrid.base.journal import Journal
from ctgrid.base.present import Present
from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import fingerprint
from ctgrid.methods.denoising.trust.maps import Trust
from ctgrid.metrics.edges import edge_gain
from ctgrid.runs.denoising.bench import DONE, FAILED, KEPT, CaseBench, Entry
from ctgrid.runs.denoising.jobs import JOURNAL, DenoisingPlan, Job, check_job
from ctgrid.runs.denoising.settings import Request
from ctgrid.runs.report.picture import save_comparison
from ctgrid.scan.noise import estimate_noise_per_slice, summary_of
from ctgrid.scan.volume import Volume, fitting_dtype
from ctgrid.scan.windows import FULL_WINDOW_HU

EDGE_SLICES = 15
"""Slices that tell how much of the edges was removed."""


def denoise_cases(
    plan: DenoisingPlan,
    request: Request,
    *,
    bench: CaseBench | None = None,
    on_case: Callable[[Entry], None] = lambda entry: None,
    progress: Progress = silent,
) -> list[Entry]:
    """Denoise all cases of a plan.

    Args:
        plan: see :func:`ctgrid.runs.denoising.jobs.plan_jobs`.
        request: how.
        bench: the method, where the caller wants to know of it afterwards.
        on_case: called with every case's entry.
        progress: called with (phase, done, total) within a case.

    Returns:
        An entry per case: ``file``, ``source``, ``status`` (done, kept, failed), ``seconds``, ``noise_hu``, ...

    Raises:
        CtgridError: before any work where outputs are in the way; where every case failed; with ``strict``, or for a
            single case, where one failed.
    """
    bench = bench or CaseBench(request)
    journals = {folder: Journal(folder / JOURNAL) for folder in plan.folders} if plan.many else {}
    kept = _check_outputs(plan, bench, journals)
    entries: list[Entry] = []
    waiting: list[tuple[Journal, Entry]] = []  # failures before anything succeeded leave nothing behind
    places = {folder: Present(folder) for folder in plan.folders} if plan.many else {}
    for number, job in enumerate(plan.jobs):
        for place in places.values():
            place.check()
        entry = kept.get(job.out)
        if entry is None:
            entry = _tried(job, bench, plan, progress, places.get(job.out.parent))
        entries.append(entry)
        if plan.many and entry["status"] != KEPT:
            waiting.append((journals[job.out.parent], entry))
            if any(e["status"] != FAILED for e in entries):
                left = []
                for journal, waited in waiting:
                    if journal.path.parent.exists():
                        journal.append(plain(waited))
                    else:
                        left.append((journal, waited))
                waiting = left
        on_case(entry)
        progress("cases", number + 1, len(plan.jobs))
    for place in places.values():
        place.check()
    if all(entry["status"] == FAILED for entry in entries):
        first = entries[0]["error"]
        raise CtgridError(first if len(entries) == 1 else f"none of {len(entries)} scans was denoised; first: {first}")
    return entries


def _check_outputs(plan: DenoisingPlan, bench: CaseBench, journals: Mapping[Path, Journal]) -> dict[Path, Entry]:
    """Return the entries of results that are kept; refuse what is in the way."""
    request = bench.request
    kept: dict[Path, Entry] = {}
    listed = {folder: journal.entries() for folder, journal in journals.items() if request.resume}
    for folder in journals:
        check_folder(folder)
    for job in plan.jobs:
        if request.resume and job.out.exists():
            entry = listed.get(job.out.parent, {}).get(job.out.name)
            if entry is not None and _is_done(job, entry, bench):
                kept[job.out] = {**entry, "status": KEPT}
                continue
            if not request.overwrite:
                why = (
                    "is listed with another input, other settings or other bytes" if entry else "is not listed as done"
                )
                raise CtgridError(f"{job.out} exists and {why}; pass --overwrite to make it anew")
        try:
            check_job(job, plan.many, request.overwrite)
        except CtgridError as error:
            hint = ", or --resume to keep what is done" if plan.many and not request.resume else ""
            raise CtgridError(f"{error}{hint if '--overwrite' in str(error) else ''}") from error
    return kept


def _is_done(job: Job, entry: Entry, bench: CaseBench) -> bool:
    """Tell whether an entry is of this input and these settings, and its outputs are there, whole."""
    if entry.get("status") != DONE or entry.get("request") != plain(bench.identity):
        return False
    outputs = entry.get("outputs")
    facts = [entry.get("input"), *(outputs if isinstance(outputs, list) else [])]
    there = [job.source, *job.outputs]
    return len(facts) == len(there) and all(
        path.exists() and isinstance(fact, Mapping) and _same(fingerprint(path), fact)
        for path, fact in zip(there, facts, strict=True)
    )


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one.get(name) == other.get(name) for name in ("bytes", "sha256"))


def _tried(job: Job, bench: CaseBench, plan: DenoisingPlan, progress: Progress, place: Present | None = None) -> Entry:
    """Denoise one of several cases; return its entry, also where that failed."""
    started = time.perf_counter()
    try:
        return denoise_case(job, bench, many=plan.many, place=place, progress=progress)
    except Exception as error:
        if bench.request.strict or not plan.many:
            raise
        if place is not None:
            place.check()  # a folder that went is no fault of the scan
        known = isinstance(error, CtgridError | OSError)
        reason = reason_of(error) if known else f"unexpected {type(error).__name__}: {reason_of(error)}"
        if out_of_memory(error):
            reason = "not enough memory; denoise it again with a smaller --batch-size"
        seconds = round(time.perf_counter() - started, 3)
        return {
            "file": job.out.name,
            "source": str(job.source),
            "status": FAILED,
            "error": reason if str(job.source) in reason else f"{job.source}: {reason}",
            "seconds": seconds,
        }


def denoise_case(
    job: Job, bench: CaseBench, *, many: bool = False, place: Present | None = None, progress: Progress = silent
) -> Entry:
    """Denoise one case and write all that is wanted of it, the volume last.

    Args:
        job: the case.
        bench: the method.
        many: the case is one of a folder of results, which is made where missing.
        place: watches that folder, which must not go once it was there.
        progress: called with (phase, done, total).

    Raises:
        CtgridError: where it cannot be read, denoised or written.
    """
    request, started = bench.request, time.perf_counter()
    progress("reading", 0, 1)
    volume = bench.read(job.source)
    source = fingerprint(job.source)
    read_seconds = time.perf_counter() - started
    progress("loading the method", 0, 1)
    before = bench.seconds
    _ = bench.method
    loading = bench.seconds - before
    result = bench.run(volume, progress)
    progress("noise per slice", 0, 1)
    mark = time.perf_counter()
    found = getattr(result, "noise_per_slice_hu", None)
    per_slice = summary_of(estimate_noise_per_slice(volume) if found is None else found)
    slices_seconds = time.perf_counter() - mark
    mark = time.perf_counter()
    trust = None if job.trust is None else bench.trust(volume, result.volume, progress)
    trust_seconds = time.perf_counter() - mark
    warnings = [*volume.record.get("warnings", []), *([] if trust is None else trust.facts["warnings"])]
    progress("writing", 0, 1)
    mark = time.perf_counter()
    if place is not None:
        place.check()
        job.out.parent.mkdir(exist_ok=True)
        place.check()  # it has been seen from now on
    write_case(job, volume, result.volume, request.overwrite, many, trust)
    if place is not None:
        place.check()
    return {
        "file": job.out.name,
        "source": str(job.source),
        "status": DONE,
        "seconds": round(time.perf_counter() - started - loading, 3),
        "noise_hu": round(result.noise_hu, 2),
        "noise_per_slice_hu": per_slice,
        "removed_hu": round(_spread(volume.hu, result.volume.hu), 2),
        "edges_removed": None if result.settings.get("untouched") else edges_removed(volume.hu, result.volume.hu),
        "dit_token_passes": result.dit_token_passes,
        "phases": {
            "read": round(read_seconds, 3),
            **result.phases,
            "noise per slice": round(slices_seconds, 3),
            **({} if trust is None else {"trust": round(trust_seconds, 3)}),
            "write": round(time.perf_counter() - mark, 3),
        },
        "settings": result.settings,
        "request": bench.identity,
        "hu": volume.record.get("hu"),
        **({} if trust is None else {"trust": _facts(job, trust)}),
        **({"warnings": warnings} if warnings else {}),
        "shape": list(volume.shape),
        "spacing_mm": list(volume.spacing_mm),
        "input": source,
        "outputs": [fingerprint(path) for path in job.outputs],
    }


def write_case(
    job: Job, volume: Volume, result: Volume, overwrite: bool, many: bool, trust: Trust | None = None
) -> None:
    """Write residual, maps of trust, picture and volume, in this order."""
    if many:
        for path in job.outputs:
            path.parent.mkdir(exist_ok=True)
    template = job.source  # its header, or its study, is kept where the format is the same
    clean = replace(result, affine=volume.affine, record={**volume.record, "derived": "denoised"})
    if job.residual is not None:
        rest = removed(volume, clean)
        rest = replace(rest, record={**rest.record, "derived": "what denoising removed"})
        rest.write(job.residual, overwrite, dtype=rest.hu.dtype, template=template)
    if job.trust is not None and job.changed is not None and trust is not None:
        trust.sigma.write(job.trust, overwrite, dtype=np.float32, template=template)
        trust.changed.write(job.changed, overwrite, template=template)
    if job.picture is not None:
        save_comparison(volume, clean, job.picture, overwrite=overwrite)
    clean.write(job.out, overwrite, dtype=fitting_dtype(clean, where=str(job.out)), template=template)


def _facts(job: Job, trust: Trust) -> dict[str, Any]:
    """Return what an entry says of the maps of trust."""
    facts = {name: value for name, value in trust.facts.items() if name != "warnings"}
    return {"path": str(job.trust), "changed_path": str(job.changed), **facts}


def removed(before: Volume, after: Volume) -> Volume:
    """Return what was removed: the scan less the result, on its grid, int16 where both are whole."""
    whole = before.hu.dtype == after.hu.dtype == np.int16
    rest = np.empty(before.shape, np.int16 if whole else np.float32)
    for target, one, other in zip(rest, before.hu, after.hu, strict=True):  # slice by slice: no wide copy of all
        wide = one.astype(np.float32) - other
        target[...] = wide.clip(-32768, 32767) if whole else wide
    return replace(before, hu=rest)


def edges_removed(before: np.ndarray, after: np.ndarray) -> float | None:
    """Return the share of the result's edges that went with the noise: noise alone gives 0, lost anatomy more.

    Args:
        before: (z, y, x) HU.
        after: likewise.

    Returns:
        The mean over some slices of the slope of the gradients of what was removed against the result's steepest; None
        where nothing is steep.
    """
    if min(before.shape[1:]) < 2:
        return None
    looked_at = np.unique(np.linspace(0, len(before) - 1, EDGE_SLICES).round().astype(int))
    clipped = ((np.clip(hu[z].astype(np.float64), *FULL_WINDOW_HU) for hu in (before, after)) for z in looked_at)
    shares = [edge_gain(one - other, other) for one, other in clipped]
    found = [share for share in shares if np.isfinite(share)]
    return round(float(np.mean(found)), 4) if found else None


def _spread(before: np.ndarray, after: np.ndarray) -> float:
    """Return the root mean square of what was removed."""
    total = sum(
        float(np.square(one.astype(np.float32) - other).sum()) for one, other in zip(before, after, strict=True)
    )
    return float(np.sqrt(total / before.size))
