"""The list of results that grows case by case, on disk after every one."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from ctgrid.errors import CtgridError
from ctgrid.files import atomic_output
from ctgrid.runs import plain

IDENTITY = ("volume", "noise", "method")


class Results:
    """Rows of a JSON list, one for each volume, noise and method.

    A row's ``case`` is the hash of everything that determined it: a row with the wanted hash is not computed
    again, one with another hash is replaced.
    """

    def __init__(self, path: Path, rows: list[dict[str, Any]]) -> None:
        """Take rows as they are; see :meth:`open`."""
        self.path, self.rows = path, rows

    @classmethod
    def open(cls, path: Path, overwrite: bool = False) -> Results:
        """Go on with the results at a path, or begin.

        Args:
            path: the JSON file.
            overwrite: begin anew even where there are some; nothing is written before the first row.

        Raises:
            CtgridError: where the file holds something else.
        """
        if overwrite or not path.exists():
            return cls(path, [])
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise CtgridError(f"{path} holds no results: {error}; pass --overwrite to replace it") from error
        if not isinstance(rows, list) or not all(isinstance(r, dict) and {*IDENTITY, "case"} <= set(r) for r in rows):
            raise CtgridError(f"{path} holds no results of this evaluation; pass --overwrite to replace it")
        return cls(path, rows)

    def find(self, volume: str, noise: str, method: str, case: str) -> dict[str, Any] | None:
        """Return a row that needs no computing, or None."""
        wanted = (volume, noise, method)
        for row in self.rows:
            if tuple(row[key] for key in IDENTITY) == wanted and row["case"] == case:
                return row
        return None

    def put(self, row: dict[str, Any]) -> None:
        """Add a row, in place of the older one of its volume, noise and method, and write."""
        row = plain(row)
        same = [i for i, old in enumerate(self.rows) if all(old[key] == row[key] for key in IDENTITY)]
        if same:
            self.rows[same[0]] = row
        else:
            self.rows.append(row)
        with atomic_output(self.path, overwrite=True) as temporary:
            temporary.write_text(json.dumps(self.rows, indent=1) + "\n", encoding="utf-8")


def case_hash(**facts: Any) -> str:
    """Return 16 hexadecimal digits that name everything that determines a result."""
    return sha256(json.dumps(plain(facts), sort_keys=True).encode()).hexdigest()[:16]
