"""Write what results tell as Markdown, which reads well on a terminal too."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from ctgrid.base.errors import one_line, printable
from ctgrid.runs.results.description import Description
from ctgrid.runs.results.table import MEASURED, Table


def aligned(headings: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> str:
    """Return an aligned Markdown table.

    Args:
        headings: of the columns.
        rows: their cells.
        left: numbers of the columns that stand to the left; all others stand to the right.
    """
    cells = [list(headings), *map(list, rows)]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(headings))]

    def line(row: Sequence[str]) -> str:
        padded = [
            cell.ljust(w) if i in left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rules = [":" + "-" * (w + 1) if i in left else "-" * (w + 1) + ":" for i, w in enumerate(widths)]
    return "\n".join([line(cells[0]), "|" + "|".join(rules) + "|", *(line(row) for row in cells[1:])])


def table_markdown(table: Table, most_rows: int | None = None) -> str:
    """Return a table under its title, the best figures starred, its notes below.

    Args:
        table: what is written.
        most_rows: rows after so many are counted only.
    """
    rows = [
        [plain(table.cell(row, c)) + "*" * table.is_best(row, c) for c in table.columns]
        for row in table.rows[:most_rows]
    ]
    mark = "" if table.mark == MEASURED else f" ({table.mark})"
    parts = [f"**{plain(table.title)}**{mark}"]
    words = {0, *(i for i, column in enumerate(table.columns) if table.holds_words(column))}
    parts += [aligned([c.heading for c in table.columns], rows, words)] if rows else []
    left = len(table.rows) - len(rows)
    parts += [f"… and {left} more"] if left else []
    return "\n\n".join([*parts, *(plain(note) for note in table.notes)])


def description_markdown(described: Description, most_rows: int | None = None) -> str:
    """Return notes and tables without the title, which whoever shows them puts above; charts are left out."""
    tables = [table_markdown(table, most_rows) for table in described.tables]
    return "\n\n".join([*map(plain, described.notes), *tables])


def plain(words: str) -> str:
    """Return text on one line that is nothing but text in a Markdown document: no markup, link, picture or control.

    Args:
        words: May come from anywhere: a file's name, another program's record.
    """
    return re.sub(r"([\\`|#~]|\](?=[(:\[]))", r"\\\1", printable(one_line(words))).replace("<", "&lt;")
