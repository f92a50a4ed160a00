"""Run records: what a run made and took as tables, its training curve, and the whole record folded away."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ctgrid.base.errors import CtgridError
from ctgrid.runs.report.html.found import Run
from ctgrid.runs.report.html.markup import Markup, element, join
from ctgrid.runs.results.chart import Lines
from ctgrid.runs.results.description import Description
from ctgrid.runs.results.files import described
from ctgrid.runs.results.kinds import kind_of
from ctgrid.runs.results.rows import present
from ctgrid.runs.results.table import Column, Table, is_number

MOST_ITEMS = 12
MOST_POINTS = 200
LOG = "log.jsonl"
_FIRST = ("command", "status", "argv", "seed", "started", "seconds", "peak_memory_mib")


def describe_runs(runs: Sequence[Run]) -> list[Description]:
    """Return what runs report of themselves, and results that stand in their records alone."""
    made = [
        Description("Synthesis runs", [_synthesised(runs)], beside="synthesize"),
        Description("Denoising runs", [_denoised(runs)], beside="denoising"),
    ]
    told = [one for one in made if one.tables[0].rows]
    for run in runs:
        kind = kind_of(run.record.get("results"))
        if kind is not None and not kind.files:
            with suppress(CtgridError):  # a damaged record is shown as it is
                one = described(kind, run.record["results"], run.path)
                told.append(replace(one, title=f"{one.title}: {run.path}"))
    curves = [chart for run in runs if (chart := training_chart(run)) is not None]
    return told + ([Description("Training", [], curves, beside="train")] if curves else [])


def _synthesised(runs: Sequence[Run]) -> Table:
    rows = []
    for run in (r for r in runs if r.command == "synthesize" and is_number(r.record.get("seconds"))):
        settings, model = _dict(run.record, "settings"), _dict(run.record, "model")
        count = settings.get("count")
        side = settings.get("size")
        rows.append(
            {
                "run": run.path.parent.name or str(run.path),
                "size": f"{side} × {side} × {settings.get('slices')}" if side else None,
                "model": settings.get("model"),
                "device": model.get("device"),
                "seconds": run.record["seconds"] / (max(1, count) if is_number(count) else 1),
                "memory": _gib(run.record),
            }
        )
    columns = [
        Column("run", "run"),
        Column("size", "voxels"),
        Column("model", "model"),
        Column("device", "device"),
        Column("seconds", "s per volume", ".1f"),
        Column("memory", "peak GiB", ".2f"),
    ]
    return Table("Time and memory", columns, rows, notes=["Seconds of the whole run, loading and writing included."])


def _denoised(runs: Sequence[Run]) -> Table:
    rows = [
        {
            "file": case.get("file") or case.get("source"),
            "status": case.get("status"),
            "noise": case.get("noise_hu"),
            "removed": case.get("removed_hu"),
            "uncertain": _dict(case, "trust").get("median_hu"),
            "changed": _dict(case, "trust").get("changed_share"),
            "seconds": case.get("seconds"),
        }
        for run in runs
        if run.command == "denoise"
        for case in _dict(run.record, "results").get("cases") or []
        if isinstance(case, Mapping)
    ]
    columns = [
        Column("file", "scan"),
        Column("status", "status"),
        Column("noise", "noise HU", ".1f"),
        Column("removed", "removed HU", ".1f"),
        *present([Column("uncertain", "uncertain HU", ".1f"), Column("changed", "beyond noise", ".2%")], rows),
        Column("seconds", "s", ".1f"),
    ]
    notes = ["Removed: root mean square of scan less result."]
    if any(row["uncertain"] is not None for row in rows):
        notes.append("Uncertain: median of the map of trust. Beyond noise: voxels changed by more than noise explains.")
    return Table("Noise found and removed", columns, rows, notes=notes)


def training_chart(run: Run) -> Lines | None:
    """Return the loss of a training run, averaged over equal stretches, or None where it kept no log."""
    path = run.path.parent / LOG
    if run.command != "train" or not path.is_file() or path.is_symlink():
        return None
    points = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue  # the last line of a run that was stopped
        if isinstance(row, dict) and is_number(row.get("step")) and is_number(row.get("loss")):
            points.append((float(row["step"]), float(row["loss"])))
    stretch = max(1, math.ceil(len(points) / MOST_POINTS))
    parts = [points[i : i + stretch] for i in range(0, len(points), stretch)]
    means = [(sum(s for s, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts]
    return Lines(f"Training, {run.path.parent.name}", "step", "loss", {"loss": means})


def record_view(run: Run) -> Markup:
    """Return a record, folded, what matters first."""
    record = run.record
    seconds = f", {record['seconds']:.1f} s" if is_number(record.get("seconds")) else ""
    known = {key: record[key] for key in _FIRST if key in record}
    return element(
        "details",
        element("summary", f"{run.command}: {record.get('status')}{seconds} ", element("small", str(run.path))),
        _fields({**known, **{key: value for key, value in record.items() if key not in known}}),
        data_testid="run-record",
    )


def _fields(values: Mapping[str, Any]) -> Markup:
    """Return names and values as a list of definitions."""
    pairs = [
        join(element("dt", str(name).replace("_", " ")), element("dd", _value(value)))
        for name, value in values.items()
        if value not in (None, {}, [])
    ]
    return element("dl", *pairs, class_="record")


def _value(value: Any) -> Markup | str:
    if isinstance(value, Mapping):
        return _fields(value)
    if not isinstance(value, list):
        return str(value)
    if not any(isinstance(item, Mapping | list) for item in value):
        return ", ".join(map(str, value[:MOST_ITEMS])) + _more(value)
    shown = [_fields(item) if isinstance(item, Mapping) else str(item) for item in value[:MOST_ITEMS]]
    return join(*(element("div", item) for item in shown), _more(value))


def _more(items: Sequence[Any]) -> str:
    left = len(items) - MOST_ITEMS
    return f" … and {left} more" if left > 0 else ""


def _dict(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = record.get(key)
    return value if isinstance(value, Mapping) else {}


def _gib(record: Mapping[str, Any]) -> float | None:
    mebibytes = _dict(record, "peak_memory_mib").get("process")
    return mebibytes / 1024 if is_number(mebibytes) else None
