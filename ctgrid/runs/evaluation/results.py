"""The list of results that grows case by case, on disk after every one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from ctgrid.base.documents import as_json, json_of, plain
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_output
from ctgrid.base.progress import Progress, silent

IDENTITY = ("volume", "noise", "method")
T = TypeVar("T")


Row = dict[str, Any]


@dataclass(frozen=True)
class Cases:
    """Methods to try on one thing.

    Attributes:
        label: what progress says.
        told: by which entries their rows are told apart, beside ``method``.
        hashes: by method, see :func:`case_hash`.
        run: called with those of ``hashes`` that are missing; yields a row for each.
    """

    label: str
    told: Row
    hashes: dict[str, str]
    run: Callable[[dict[str, str]], Iterable[Row]]


class Unreadable(CtgridError):
    """One scan of several that cannot be measured, where the others can."""


def tried(read: Callable[..., T], *arguments: object) -> T:
    """Read one scan of several.

    Raises:
        Unreadable: where it cannot be.
    """
    try:
        return read(*arguments)
    except CtgridError as error:
        raise Unreadable(str(error)) from error


class Results:
    """Rows of a JSON list, one for each volume, noise and method, or whatever tells rows apart.

    A row's ``case`` is the hash of everything that determined it: a row with the wanted hash is not computed
    again, one with another hash is replaced.
    """

    def __init__(
        self,
        path: Path,
        rows: list[dict[str, Any]],
        identity: tuple[str, ...] = IDENTITY,
        kind: str | None = None,
    ) -> None:
        """Take rows as they are; see :meth:`open`."""
        self.path, self.rows, self.identity, self.kind = path, rows, identity, kind
        self.together: dict[str, Any] = {}
        self.failed: list[str] = []
        """Why scans were left out, a line each."""

    @classmethod
    def open(
        cls, path: Path, overwrite: bool = False, identity: tuple[str, ...] = IDENTITY, kind: str | None = None
    ) -> Results:
        """Go on with the results at a path, or begin.

        Args:
            path: the JSON file.
            overwrite: begin anew even where there are some; nothing is written before the first row.
            identity: the entries that tell rows apart.
            kind: what the rows are of; written beside them, as ``{"kind": …, "rows": […]}``. None writes the bare
                list, as the oldest kind of results does.

        Raises:
            CtgridError: where the file holds something else.
        """
        if overwrite or not path.exists():
            return cls(path, [], identity, kind)
        rows = json_of(path, "a list of results", "pass --overwrite to replace it")
        if kind is not None and isinstance(rows, dict) and rows.get("kind") == kind:
            rows = rows.get("rows")
        elif kind is not None:
            rows = None
        if not isinstance(rows, list) or not all(isinstance(r, dict) and {*identity, "case"} <= set(r) for r in rows):
            raise CtgridError(f"{path} holds no results of this evaluation; pass --overwrite to replace it")
        return cls(path, rows, identity, kind)

    @property
    def content(self) -> Any:
        """What the file holds."""
        return self.rows if self.kind is None else {"kind": self.kind, "rows": self.rows, **self.together}

    def find(self, *identity_and_case: Any) -> dict[str, Any] | None:
        """Return a row that needs no computing, or None.

        Args:
            identity_and_case: what tells the row apart, in order, and its hash last.
        """
        for row in self.rows:
            if tuple(row[key] for key in (*self.identity, "case")) == identity_and_case:
                return row
        return None

    def complete(self, work: Iterable[Cases], total: int, preparing: str, progress: Progress = silent) -> None:
        """Add the rows that are not there yet, each kept as soon as it is there.

        Args:
            work: all cases; it may be made as it is asked for.
            total: how many they are.
            preparing: what progress says before the first case of one thing.
            progress: called after every case.
        """
        done = 0
        for cases in work:
            missing = {}
            for method, case in cases.hashes.items():
                row = cases.told | {"method": method, "case": case}
                if self.find(*(row[key] for key in (*self.identity, "case"))) is None:
                    missing[method] = case
            done += len(cases.hashes) - len(missing)
            if not missing:
                continue
            progress(preparing, done, total)
            last = done + len(missing)
            try:
                for row in cases.run(missing):
                    self.put(row)
                    done += 1
                    progress(cases.label, done, total)
            except Unreadable as error:
                self.leave_out(error)
                done = last

    def leave_out(self, error: CtgridError) -> None:
        """Note once why a scan is left out."""
        if str(error) not in self.failed:
            self.failed.append(str(error))

    def check_some(self, count: int) -> None:
        """Refuse to call it done where all scans were left out.

        Args:
            count: of the scans.

        Raises:
            CtgridError: All were; the first one's reason.
        """
        if self.failed and len(self.failed) >= count:
            more = f"; nor can the {count - 1} others be measured" if count > 1 else ""
            raise CtgridError(f"{self.failed[0]}{more}")

    def put(self, row: dict[str, Any]) -> None:
        """Add a row, in place of the older one that it is told apart by, and write."""
        row = plain(row)
        same = [i for i, old in enumerate(self.rows) if all(old[key] == row[key] for key in self.identity)]
        if same:
            self.rows[same[0]] = row
        else:
            self.rows.append(row)
        self._write()

    def put_together(self, name: str, value: Any) -> None:
        """Add what all rows say together, under a name beside them, and write; for results of a kind."""
        self.together[name] = plain(value)
        self._write()

    def _write(self) -> None:
        with atomic_output(self.path, overwrite=True) as temporary:
            temporary.write_text(as_json(self.content, 1) + "\n", encoding="utf-8")


def case_hash(**facts: Any) -> str:
    """Return 16 hexadecimal digits that name everything that determines a result."""
    return sha256(json.dumps(plain(facts), sort_keys=True).encode()).hexdigest()[:16]
