"""Tables as HTML."""

from __future__ import annotations

import re

from ctgrid.runs.report.html.table import table_html
from ctgrid.runs.results.table import Column, Table

TABLE = Table(
    "A <i>title</i> | of two",
    [Column("method", "method"), Column("psnr", "PSNR dB", ".2f", "high"), Column("s", "s", "", "low")],
    [
        {"method": "<b>", "psnr": 30.456, "s": 2},
        {"method": "nlm|x", "psnr": 31.0, "s": None},
        {"method": "sr", "psnr": None, "s": 3.5},
    ],
    notes=["a < b"],
)


def test_html_marks_the_best_and_dashes() -> None:
    made = table_html(TABLE)
    cells = re.findall(r"<td(?: class=\"(\w+)\")?>(.*?)</td>", made)
    assert cells == [
        *[("words", "&lt;b&gt;"), ("", "30.46"), ("best", "2")],
        *[("words", "nlm|x"), ("best", "31.00"), ("", "–")],
        *[("words", "sr"), ("", "–"), ("", "3.5")],
    ]
    assert 'data-testid="results-table"' in made and "<i>" not in made and "a &lt; b" in made


def test_published_tables_are_marked() -> None:
    published = Table(TABLE.title, TABLE.columns, TABLE.rows[:1], mark="as published, GriDiT")
    made = table_html(published)
    assert 'data-testid="published-table"' in made and "as published, GriDiT" in made
    assert "best" not in made  # one row is no comparison
