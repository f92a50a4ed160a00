"""Prepare many scans into a store: find, name, skip what is done, run, report."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ctgrid.base.documents import name_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.extras import require
from ctgrid.base.files import check_apart
from ctgrid.base.locks import owned
from ctgrid.base.present import Present
from ctgrid.base.progress import Progress, silent
from ctgrid.data.store.cluster import USUAL, Access, run_jobs
from ctgrid.data.store.one import StoreJob
from ctgrid.data.store.report import Report, Row, read_report, report_path
from ctgrid.data.store.settings import StoreSettings
from ctgrid.data.store.store import Store, is_store
from ctgrid.data.store.write import CannotWrite, remove_stale
from ctgrid.scan.cases import Case, find_cases, named
from ctgrid.scan.hu.metadata import MetadataTable, Paths
from ctgrid.scan.series import each_series
from ctgrid.scan.source import stamp


def prepare(
    inputs: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    settings: StoreSettings,
    metadata: Paths | None = None,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    access: Access = USUAL,
    overwrite: bool = False,
    strict: bool = False,
    limit: int | None = None,
    all_series: bool = False,
    on_row: Callable[[Row], None] | None = None,
    progress: Progress = silent,
) -> list[Row]:
    """Prepare scans into a store, new or begun; what is in it already is not done again.

    Args:
        inputs: Files, zips and folders; folders are searched.
        out: The store's folder; beside it goes the report ``X.report.jsonl``.
        settings: What decides the store's bytes.
        metadata: The collection's table, a CSV, or several.
        workers: Worker processes; 1 works in this process.
        scheduler: The address of a Dask scheduler, instead of ``workers``.
        access: How that is reached: by TLS, unless it says otherwise.
        overwrite: Replace volumes whose input has changed.
        strict: Stop at the first scan that fails.
        limit: Only so many scans, the first by path.
        all_series: Take every CT series of a DICOM folder or zip, not only the largest axial one.
        on_row: Called with each row as it is known.
        progress: Called with ("preparing", done, total).

    Returns:
        The row of every scan, by name.

    Raises:
        CtgridError: No scans, a store of other settings or in use, a scan that failed where ``strict``, or
            more than half of the scans failed (what is ready stays).
    """
    for package in ("zarr", "distributed") if workers > 1 or scheduler is not None else ("zarr",):
        require(package)
    out = Path(os.path.abspath(out))  # noqa: PTH100 (workers may have another working folder)
    progress("looking for scans", 0, 1)
    cases = find_cases(inputs)
    if all_series:
        cases = list(each_series(cases))
    check_apart(out, [case.path for case in cases])
    table = MetadataTable.read_all(metadata)
    if not out.parent.is_dir():
        raise CtgridError(f"cannot write {out}: folder {out.parent} does not exist; create it first")
    with owned(out, "prepare"), _opened(out, settings) as store, Present(out) as present:
        earlier = read_report(report_path(out))
        cases = named(cases, {row["input"]: row["name"] for row in earlier if row["status"] == "ok"})[:limit]
        work = _sort_out(cases, store, table, earlier)
        rows: list[Row] = []

        def note(row: Row) -> None:
            rows.append(row)
            if on_row is not None:
                on_row(row)
            progress("preparing", len(rows), len(cases))

        progress("preparing", 0, len(cases))
        for row in work.done:
            note(row)
        workers = min(workers, len(work.open)) or 1
        threads = None if workers == 1 and scheduler is None else 1
        jobs = (StoreJob(case, out, settings, _row_for(case, table), overwrite, threads) for case in work.open)
        with Report(report_path(out), work.kept) as report:
            if work.open:
                with closing(run_jobs(jobs, workers, scheduler, access=access)) as results, _reason_first(present):
                    for row in results:
                        note(row)
                        present.check()
                        if row["status"] == "failed" and len(cases) == 1:
                            raise CtgridError(_why(row))  # the one line says it all
                        report.add(row)
                        if row["status"] == "failed" and strict:
                            raise CtgridError(f"{_why(row)} (stopped by --strict; see {report.path})")
            present.check()
            _check_there(rows, store)
            _check_most(rows, report.path)
    return sorted(rows, key=lambda row: row["name"])


@contextmanager
def _reason_first(present: Present) -> Iterator[None]:
    """Say that the store was removed, where that is why it cannot be written."""
    try:
        yield
    except CannotWrite:
        present.check()
        raise


@dataclass
class _Work:
    """What is to be done and what is not.

    Attributes:
        open: Scans to be prepared, or to be looked at closely.
        done: Rows of scans that an earlier run finished, as this run tells them.
        kept: Rows of earlier runs that stay in the report.
    """

    open: list[Case] = field(default_factory=list)
    done: list[Row] = field(default_factory=list)
    kept: list[Row] = field(default_factory=list)


def _sort_out(cases: list[Case], store: Store, table: MetadataTable | None, earlier: list[Row]) -> _Work:
    """Pass over scans that an earlier run finished and that look the same; workers look at the others."""
    work = _Work()
    there = set(store.names())
    by_input = {row["input"]: row for row in earlier}
    for case in cases:
        row = by_input.get(case.key)
        if row is None or not _finished(row, case, there, table):
            work.open.append(case)
        elif row["status"] == "ok":
            work.done.append({**row, "already_there": True})
        else:
            work.done.append(row)
    again = {case.key for case in work.open}
    names = {case.name for case in work.open}
    for row in earlier:
        moved = row["name"] in names and not _is_there(row["input"])
        if row["input"] not in again and not moved:
            work.kept.append(row)
    return work


def _finished(row: Row, case: Case, there: set[str], table: MetadataTable | None) -> bool:
    """Tell whether a row still holds: the same name, in the store if it is ok, and an input that looks the same."""
    if row["name"] != case.name or row["status"] not in ("ok", "skipped"):
        return False
    if (row["status"] == "ok") != (case.name in there):
        return False
    try:
        return bool(row.get("stamp") == stamp(case.path, table))
    except CtgridError:
        return False


@contextmanager
def _opened(out: Path, settings: StoreSettings) -> Iterator[Store]:
    """Yield the store, made where there is none; one that was made here and stays empty is removed."""
    new = not out.exists() or (out.is_dir() and not any(out.iterdir()))
    if not new and not is_store(out):
        raise CtgridError(f"{out} is there and is not a ctgrid store; choose another --out")
    store = Store.create(out, settings) if new else Store.open(out)
    _check_settings(store, settings)
    remove_stale(out)
    try:
        yield store
    except BaseException:
        if new and out.is_dir() and not store.names():
            shutil.rmtree(out, ignore_errors=True)
        raise
    finally:
        remove_stale(out)  # of workers that were killed in this run


def _check_settings(store: Store, settings: StoreSettings) -> None:
    """Refuse a store that was made in another way.

    Raises:
        CtgridError: naming what differs.
    """
    was, now = store.settings.as_dict(), settings.as_dict()
    differing = [f"{key} {was[key]} there, {now[key]} here" for key in now if was[key] != now[key]]
    if differing:
        raise CtgridError(f"{store.path} was made with other settings: {'; '.join(differing)}; choose another --out")


def _row_for(case: Case, table: MetadataTable | None) -> MetadataTable | None:
    return table.subset([case.path]) if table is not None else None


def _is_there(key: str) -> bool:
    key = name_of(key)
    return Path(key).exists() or Path(key.rpartition("#")[0] or key).exists()  # a path, or path#series


def _check_most(rows: list[Row], report: Path) -> None:
    """Tell a run in which more scans failed than can be bad luck; those that the protocol leaves out do not count.

    Raises:
        CtgridError: where more than half of them failed. What is ready stays.
    """
    tried = [row for row in rows if row["status"] != "skipped"]
    failed = [row for row in tried if row["status"] == "failed"]
    if 2 * len(failed) > len(tried):
        ready = len(tried) - len(failed) or "none"
        are = "are" if len(tried) - len(failed) > 1 else "is"
        raise CtgridError(
            f"{len(failed)} of {len(tried)} scans failed, {ready} {are} ready; {_why(failed[0])} (see {report})"
        )


def _check_there(rows: list[Row], store: Store) -> None:
    """Notice volumes that went away while the others were prepared.

    Raises:
        CtgridError: naming one.
    """
    there = set(store.names())
    gone = [row["name"] for row in rows if row["status"] == "ok" and row["name"] not in there]
    if gone:
        raise CtgridError(
            f"{len(gone)} volumes were removed from {store.path} while ctgrid prepare was at work, such as {gone[0]}; "
            "run it again"
        )


def _why(row: Row) -> str:
    """Return a failed row as one clause that names the input."""
    reason = str(row["reason"])
    named = row["input"] in reason or (row["input"].rpartition("#")[0] or "\0") in reason
    return reason if named else f"{row['input']}: {reason}"
