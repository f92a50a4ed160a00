"""Prepare scans for training: a Zarr store with both resolutions, the way back, and a report on every scan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ctgrid.runs.stores.settings import PrepareSettings

from .adapter import with_options
from .options import JsonOption
from .output import cost, finish, warn
from .progress import progress_bar

_LISTED = 10


@with_options
def command(
    ctx: typer.Context,
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="IN", help="Scans (NIfTI, NRRD, MetaImage, zip, DICOM) and folders to be searched."),
    ],
    *,
    out: Annotated[Path, typer.Option("--out", help="The store to write or to go on with, such as X.zarr.")],
    settings: PrepareSettings,
    as_json: JsonOption = False,
) -> None:
    """Find, read, bring to one form, store, report; run it again to go on where it was stopped."""
    from ctgrid.runs.stores.prepare import prepare_scans

    rows: list[dict[str, Any]] = []
    with progress_bar() as progress:
        record = prepare_scans(sources, out, settings, argv=ctx.obj, on_row=rows.append, progress=progress)
    for name, warning in _warnings(rows):
        warn(name, [warning])
    finish(record, as_json, [*_summary(out, rows, record.results), cost(record)])


def _warnings(rows: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield each warning once, with the scan that it is about, or the first of several."""
    about: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: row["name"]):
        for warning in row.get("warnings", []):
            about.setdefault(warning, []).append(row["name"])
    for warning, names in about.items():
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield f"{names[0]}{others}", warning


def _summary(out: Path, rows: list[dict[str, Any]], counts: dict[str, Any]) -> list[str]:
    """Return the table that a person reads: counts, then what is not in the store and why."""
    from ctgrid.data.store.report import report_path

    lines = [f"{out}: {counts['ok']} of {counts['cases']} scans"]
    lines += [f"  {status:<8}{counts[status]:>7}" + _note(status, counts) for status in ("ok", "skipped", "failed")]
    left_out = sorted((row for row in rows if row["status"] != "ok"), key=lambda row: (row["status"], row["name"]))
    lines += [f"  {row['status']:<8}{row['name']}: {row['reason']}" for row in left_out[:_LISTED]]
    if len(left_out) > _LISTED:
        lines.append(f"  ... and {len(left_out) - _LISTED} more")
    return [*lines, f"report: {report_path(out)}"]


def _note(status: str, counts: dict[str, Any]) -> str:
    return f"  ({counts['already_there']} already there)" if status == "ok" and counts["already_there"] else ""
