"""Write a table as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctgrid.runs.report.html.markup import Markup, element
from ctgrid.runs.results.table import SHORT, Column, Table


def table_html(table: Table) -> Markup:
    """Return a table as HTML; it scrolls sideways by itself where it is too wide."""
    words = {column.key for column in table.columns if table.holds_words(column)}

    def cell(row: Mapping[str, Any], column: Column) -> Markup:
        text = table.cell(row, column)
        kind = None
        if table.is_best(row, column):
            kind = "best"
        elif column.key in words:
            kind = "words" if len(text) <= SHORT else "words long"
        return element("td", text, class_=kind)

    headings = [
        element("th", c.heading, scope="col", class_="words" if c.key in words else None) for c in table.columns
    ]
    body = (element("tr", *(cell(row, column) for column in table.columns)) for row in table.rows)
    grid = element(
        "div",
        element("table", element("thead", element("tr", *headings)), element("tbody", *body)),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=f"Table: {table.title}",
    )
    return element(
        "div",
        element("p", element("span", table.mark, class_="badge"), table.title, class_="table-title"),
        grid if table.rows else None,
        *(element("p", note, class_="note") for note in table.notes),
        class_="table published" if table.published else "table",
        data_testid="published-table" if table.published else "results-table",
    )
