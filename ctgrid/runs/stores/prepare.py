"""``ctgrid prepare`` as a call of Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.record_place import record_beside
from ctgrid.base.settings import gather, spelled_out
from ctgrid.data.store.cluster import Access
from ctgrid.data.store.prepare import prepare
from ctgrid.data.store.report import Row, report_path, tally
from ctgrid.runs.stores.settings import PrepareSettings


@spelled_out(PrepareSettings, "changes")
def prepare_scans(
    sources: Path | str | Sequence[Path | str],
    out: Path | str,
    settings: PrepareSettings | None = None,
    *,
    argv: Sequence[str] = (),
    on_row: Callable[[Row], None] = lambda row: None,
    progress: Progress = silent,
    **changes: Any,
) -> RunRecord:
    """Prepare scans into a store, new or begun, with a run record; what is in it already is not done again.

    Args:
        sources: files, zips and folders; folders are searched.
        out: the store; beside it goes the report ``X.report.jsonl``.
        settings: how; None takes the defaults.
        argv: the command line, for the record.
        on_row: called with each scan's row as it is known.
        progress: called with (phase, done, total).
        changes: settings other than those, by name.

    Returns:
        The record; its ``results`` count the scans, see :func:`ctgrid.data.store.report.tally`.

    Raises:
        CtgridError: as :func:`ctgrid.data.store.prepare.prepare`.
    """
    asked, out = gather(PrepareSettings, changes, settings or PrepareSettings()), Path(out)
    given = [Path(one) for one in ([sources] if isinstance(sources, str | Path) else sources)]
    record = RunRecord("prepare", record_beside(out), list(argv))
    record.settings = {"inputs": [str(source) for source in given], **asked.as_dict(), "workers": asked.workers or 1}
    rows: list[Row] = []

    def note(row: Row) -> None:
        rows.append(row)
        record.worth_keeping = record.worth_keeping or row["status"] == "ok"
        record.results = tally(rows)
        on_row(row)

    with recorded(record):
        with record.timed("prepare"):
            prepare(
                given,
                out,
                asked.store,
                asked.metadata,
                workers=asked.workers or 1,
                scheduler=asked.scheduler,
                access=Access(asked.tls, asked.insecure),
                overwrite=asked.overwrite,
                strict=asked.strict,
                limit=asked.limit,
                all_series=asked.all_series,
                on_row=note,
                progress=progress,
            )
        record.outputs += [{"path": str(out)}, {"path": str(report_path(out))}]
    return record
