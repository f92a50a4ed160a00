"""Prepare scans for training: a Zarr store with both resolutions, the way back, and a report on every scan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ctgrid.scan.protocols.protocols import PROTOCOLS

from .options import HuOption, JsonOption, MetadataOption, choice
from .output import cost, finish, warn
from .progress import progress_bar

_LISTED = 10


def command(
    ctx: typer.Context,
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="IN...", help="Scans (NIfTI, NRRD, MetaImage, zip, DICOM) and folders to be searched."),
    ],
    out: Annotated[Path, typer.Option("--out", help="The store to write or to go on with, such as X.zarr.")],
    metadata: MetadataOption = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Worker processes on this machine.")] = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="tls://...", help="A running Dask scheduler, instead.")
    ] = None,
    tls: Annotated[
        Path | None, typer.Option("--tls", metavar="DIR", help="Its certificates, if not in ~/.ctgrid/tls.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Take a scheduler without TLS, which runs anyone's code as you.")
    ] = False,
    protocol: Annotated[str, choice("--protocol", PROTOCOLS, "How scans are brought to one form.")] = "generatect",
    size: Annotated[int, typer.Option("--size", min=1, help="Rows and columns of the slices.")] = 512,
    k: Annotated[int, typer.Option("--k", min=1, help="Cells per side of a grid image; coarse is size / k.")] = 4,
    slices: Annotated[int, typer.Option("--slices", min=1, help="Slices of a volume.")] = 201,
    fov_mm: Annotated[
        float | None, typer.Option("--fov-mm", help="Side of the field of view (canonical); default: all.")
    ] = None,
    hu: HuOption = "auto",
    parity: Annotated[bool, typer.Option("--parity", help="Truncate slope and intercept as GenerateCT does.")] = False,
    all_series: Annotated[
        bool, typer.Option("--all-series", help="Take every CT series of a DICOM folder, not the largest axial one.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first scan that fails.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only so many scans, the first by path.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace volumes whose input has changed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find, read, bring to one form, store, report; run it again to go on where it was stopped."""
    from ctgrid.base.record import RunRecord, recorded
    from ctgrid.base.record_place import record_beside
    from ctgrid.data.store.cluster import Access
    from ctgrid.data.store.prepare import prepare
    from ctgrid.data.store.report import Row, report_path, tally
    from ctgrid.data.store.store import StoreSettings

    if workers is not None and scheduler is not None:
        raise typer.BadParameter("give --workers or --scheduler, not both", param_hint="--scheduler")
    if scheduler is None and (tls is not None or insecure):
        raise typer.BadParameter("belongs to --scheduler", param_hint="--tls" if tls is not None else "--insecure")
    settings = StoreSettings.checked(
        {
            "protocol": protocol,
            "size": size,
            "k": k,
            "slices": slices,
            "fov_mm": fov_mm,
            "hu": hu,
            "parity": parity,
        }
    )
    record = RunRecord("prepare", record_beside(out), ctx.obj)
    record.settings = {
        "inputs": [str(source) for source in sources],
        "metadata": metadata,
        "workers": workers or 1,
        "scheduler": scheduler,
        "strict": strict,
        "limit": limit,
        "all_series": all_series,
        "overwrite": overwrite,
        **settings.model_dump(),
    }
    rows: list[Row] = []

    def note(row: Row) -> None:
        rows.append(row)
        record.worth_keeping = record.worth_keeping or row["status"] == "ok"
        record.results = tally(rows)

    with recorded(record), progress_bar() as progress:
        with record.timed("prepare"):
            prepare(
                sources,
                out,
                settings,
                metadata,
                workers=workers or 1,
                scheduler=scheduler,
                access=Access(tls, insecure),
                overwrite=overwrite,
                strict=strict,
                limit=limit,
                all_series=all_series,
                on_row=note,
                progress=progress,
            )
        record.outputs += [{"path": str(out)}, {"path": str(report_path(out))}]
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
