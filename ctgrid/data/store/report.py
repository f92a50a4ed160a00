"""The per-case report: one line of JSON for each scan, written as it is finished."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from ctgrid.base.documents import name_of, plain
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_output
from ctgrid.base.links import open_record

STATUSES = ("ok", "skipped", "failed")
Row = dict[str, Any]
"""name, input, status, reason, seconds, peak_mib (of its process so far), stamp; where ok: hu, shape, spacing_mm."""


def report_path(store: Path) -> Path:
    """Return where the report of a store lies: ``X.report.jsonl`` beside ``X.zarr``.

    Args:
        store: The store's folder.
    """
    return store.with_name(f"{store.name.removesuffix('.zarr')}.report.jsonl")


def read_report(path: Path) -> list[Row]:
    """Read a report; the latest row of each input counts, and a line cut off by a kill is passed over.

    Args:
        path: The report; one that is not there has no rows.

    Raises:
        CtgridError: It cannot be read.
    """
    try:
        with open_record(path, "r", encoding="utf-8", errors="replace") as stream:
            text = stream.read()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CtgridError(f"cannot read the report {path}: {error.strerror or error}") from error
    rows: dict[str, Row] = {}
    for line in text.splitlines():
        try:
            row = json.loads(line)
            key = str(row["input"])
            row["name"], known = name_of(str(row["name"])), row["status"] in STATUSES
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        if known:
            rows.pop(key, None)
            rows[key] = row
    return list(rows.values())


class Report:
    """A report being written; a context manager.

    What earlier runs said about other scans, or about these where nothing is to be done, is kept.
    """

    def __init__(self, path: Path, kept: Iterable[Row]) -> None:
        """Rewrite the report with the rows that stay, and open it for more.

        Args:
            path: The file.
            kept: Rows of earlier runs that still hold.

        Raises:
            CtgridError: It cannot be written.
        """
        self.path = path
        kept = list(kept)
        self._rows = len(kept)
        try:
            with atomic_output(path, overwrite=True) as temporary:
                temporary.write_text("".join(_line(row) for row in kept), encoding="utf-8")
            self._stream = open_record(path, "a", encoding="utf-8")
        except OSError as error:
            raise CtgridError(f"cannot write {path}: {error.strerror or error}") from error

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row; it is with the system when this returns, whatever happens to the process.

        Args:
            row: JSON-able.

        Raises:
            CtgridError: It cannot be written, because the disk is full for instance.
        """
        try:
            self._stream.write(_line(row))
            self._stream.flush()
            self._rows += 1
        except OSError as error:
            raise CtgridError(f"cannot write {self.path}: {error.strerror or error}") from error

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # what could not be flushed was reported by add()
            self._stream.close()
        if error is not None and self._rows == 0:
            self.path.unlink(missing_ok=True)


def tally(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Count a run's rows by status.

    Args:
        rows: What the run said about each scan.

    Returns:
        ``cases``, ``ok``, ``skipped``, ``failed``; ``already_there`` (of those that are ok); ``peak_mib``, the most
        memory that a process which prepared scans has used.
    """
    rows = list(rows)
    new = [row for row in rows if not row.get("already_there")]
    counts = Counter(str(row["status"]) for row in rows)
    return {
        "cases": len(rows),
        **{status: counts[status] for status in STATUSES},
        "already_there": len(rows) - len(new),
        "peak_mib": max((row.get("peak_mib") or 0.0 for row in new), default=0.0),
    }


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(plain(row), ensure_ascii=False, separators=(", ", ": ")) + "\n"
