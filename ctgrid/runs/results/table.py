"""Rows under headings, as data: what is measured or published, for whoever writes it down."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

MEASURED = "measured"
"""Mark of what was measured here."""

SHORT = 26  # letters that a cell keeps on one line
LONG = 48  # letters of a sentence, which wants a page's whole width


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: of its value in a row.
        heading: shown to people, with the unit.
        form: how numbers are written, as for :func:`format`; empty where values are words or written as they are.
        best: whether the highest or the lowest value is marked; None marks none.
        span: keys of the least and the greatest of what the value is the mean of, or none.
    """

    key: str
    heading: str
    form: str = ""
    best: Literal["high", "low"] | None = None
    span: tuple[str, str] | None = None


@dataclass(frozen=True)
class Table:
    """Rows under headings.

    Attributes:
        title: what the table tells; may hold any characters, as may all cells.
        columns: the first names the row.
        rows: values by the columns' keys; None is a dash.
        mark: of where it comes from: :data:`MEASURED`, "as published", ...
        notes: sentences below it.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    mark: str = MEASURED
    notes: Sequence[str] = ()

    @property
    def published(self) -> bool:
        """Whether others have published the numbers."""
        return self.mark != MEASURED

    def cell(self, row: Mapping[str, Any], column: Column) -> str:
        """Return a value as people read it, the least and the greatest behind it where they differ."""
        text = number(row.get(column.key), column.form)
        low, high = (row.get(key) for key in column.span or ("", ""))
        if low is None or high is None or low == high:
            return text
        return f"{text} ({number(low, column.form)} … {number(high, column.form)})"

    def holds_words(self, column: Column) -> bool:
        """Tell whether a column holds words rather than numbers."""
        return any(isinstance(row.get(column.key), str) for row in self.rows)

    @property
    def wide(self) -> bool:
        """Whether a column holds sentences."""
        return any(
            len(self.cell(row, column)) > LONG
            for column in self.columns
            if self.holds_words(column)
            for row in self.rows
        )

    def is_best(self, row: Mapping[str, Any], column: Column) -> bool:
        """Tell whether a row has a column's best value; never where none is marked or there is nothing to choose."""
        values = [row[column.key] for row in self.rows if is_number(row.get(column.key))]
        if column.best is None or len(set(values)) < 2:
            return False
        return bool(row.get(column.key) == (max if column.best == "high" else min)(values))

    def as_dict(self) -> dict[str, Any]:
        """Return the table as JSON values."""
        return {
            "title": self.title,
            "mark": self.mark,
            "columns": [{"key": c.key, "heading": c.heading, "best": c.best} for c in self.columns],
            "rows": [dict(row) for row in self.rows],
            "notes": list(self.notes),
        }


def is_number(value: Any) -> TypeGuard[float]:
    """Tell a number from all else; True, False and NaN are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def number(value: Any, form: str) -> str:
    """Write a number, words as they are, or a dash where there is nothing."""
    if value is None:
        return "–"
    return format(value, form) if form and isinstance(value, int | float) else str(value)
