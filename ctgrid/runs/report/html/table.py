"""A table that can be written as HTML, as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from ctgrid.base.errors import one_line
from ctgrid.runs.evaluation.table import markdown, number
from ctgrid.runs.report.html.markup import Markup, element

NOT_AT_HAND = "not at hand"
"""Stands where something was published that could not be looked up."""

SHORT = 26  # letters that a cell keeps on one line
LONG = 48  # letters of a sentence, which wants the page's whole width


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: of its value in a row.
        heading: shown to people.
        form: how numbers are written, as for :func:`format`; empty where values are words.
        best: "high" or "low" where the best value is marked.
    """

    key: str
    heading: str
    form: str = ""
    best: str | None = None


@dataclass(frozen=True)
class Table:
    """Rows under headings.

    Attributes:
        title: what the table tells; may hold any characters, as may all cells.
        columns: the first names the row.
        rows: values by the columns' keys; None is a dash, :data:`NOT_AT_HAND` is shown as such.
        mark: of where it comes from: "measured", "as published", ...
        notes: sentences below it.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    mark: str = "measured"
    notes: Sequence[str] = ()

    @property
    def published(self) -> bool:
        """Whether others have published the numbers."""
        return self.mark != "measured"

    def cell(self, row: Mapping[str, Any], column: Column) -> str:
        """Return a value as people read it."""
        value = row.get(column.key)
        return "–" if value is None else number(value, column.form)

    def holds_words(self, column: Column) -> bool:
        """Tell whether a column holds words rather than numbers."""
        return any(isinstance(v, str) and v != NOT_AT_HAND for v in (row.get(column.key) for row in self.rows))

    @property
    def wide(self) -> bool:
        """Whether a column holds sentences."""
        return any(
            len(self.cell(row, column)) > LONG
            for column in self.columns
            if self.holds_words(column)
            for row in self.rows
        )

    def best_of(self, column: Column) -> Any:
        """Return a column's best value, or None where none is marked or there is nothing to choose from."""
        values = [row[column.key] for row in self.rows if is_number(row.get(column.key))]
        if column.best is None or len(values) < 2:
            return None
        return max(values) if column.best == "high" else min(values)

    def html(self) -> Markup:
        """Return the table as HTML; it scrolls sideways by itself where it is too wide."""
        best = {column.key: self.best_of(column) for column in self.columns}
        words = {column.key for column in self.columns if self.holds_words(column)}

        def cell(row: Mapping[str, Any], column: Column) -> Markup:
            value = row.get(column.key)
            kind = None
            if value == NOT_AT_HAND:
                kind = "unknown"
            elif best[column.key] is not None and value == best[column.key]:
                kind = "best"
            elif column.key in words:
                kind = "words" if len(self.cell(row, column)) <= SHORT else "words long"
            return element("td", self.cell(row, column), class_=kind)

        headings = [
            element("th", c.heading, scope="col", class_="words" if c.key in words else None) for c in self.columns
        ]
        return element(
            "div",
            element("p", element("span", self.mark, class_="badge"), self.title, class_="table-title"),
            element(
                "div",
                element(
                    "table",
                    element("thead", element("tr", *headings)),
                    element(
                        "tbody", *(element("tr", *(cell(row, column) for column in self.columns)) for row in self.rows)
                    ),
                ),
                class_="scroll",
                tabindex="0",
                role="region",
                aria_label=f"Table: {self.title}",
            ),
            *(element("p", note, class_="note") for note in self.notes),
            class_="table published" if self.published else "table",
            data_testid="published-table" if self.published else "results-table",
        )

    def markdown(self) -> str:
        """Return the table as Markdown."""
        rows = [[_table_text(self.cell(row, column)) for column in self.columns] for row in self.rows]
        lines = [f"**{_table_text(self.title)}** ({self.mark})", "", markdown([c.heading for c in self.columns], rows)]
        for note in self.notes:
            lines += ["", _table_text(note)]
        return "\n".join(lines)

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
    """Tell a finite number from all else; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _table_text(words: str) -> str:
    """Return text that breaks neither a Markdown table nor the document around it."""
    escaped = words.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`")
    return one_line(escaped)
