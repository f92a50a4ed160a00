"""Tables in their three forms."""

from __future__ import annotations

import re

from ctgrid.runs.report.html.table import NOT_AT_HAND, Column, Table

TABLE = Table(
    "A <i>title</i> | of two",
    [Column("method", "method"), Column("psnr", "PSNR dB", ".2f", "high"), Column("s", "s", "", "low")],
    [
        {"method": "<b>", "psnr": 30.456, "s": 2},
        {"method": "nlm|x", "psnr": 31.0, "s": None},
        {"method": "sr", "psnr": NOT_AT_HAND, "s": 3.5},
    ],
    notes=["a < b"],
)


def test_html_marks_the_best_the_unknown_and_dashes() -> None:
    made = TABLE.html()
    cells = re.findall(r"<td(?: class=\"(\w+)\")?>(.*?)</td>", made)
    assert cells == [
        *[("words", "&lt;b&gt;"), ("", "30.46"), ("best", "2")],
        *[("words", "nlm|x"), ("best", "31.00"), ("", "–")],
        *[("words", "sr"), ("unknown", NOT_AT_HAND), ("", "3.5")],
    ]
    assert 'data-testid="results-table"' in made and "<i>" not in made


def test_published_tables_are_marked() -> None:
    published = Table(TABLE.title, TABLE.columns, TABLE.rows[:1], mark="as published, GriDiT")
    made = published.html()
    assert 'data-testid="published-table"' in made and "as published, GriDiT" in made
    assert "best" not in made  # one row is no comparison


def test_markdown_stays_a_table() -> None:
    lines = TABLE.markdown().splitlines()
    assert lines[0] == r"**A &lt;i>title&lt;/i> \| of two** (measured)"
    assert [line.count("|") - line.count("\\|") for line in lines[2:7]] == [4] * 5
    assert lines[-1] == "a &lt; b"


def test_json_holds_the_numbers() -> None:
    made = TABLE.as_dict()
    assert made["rows"][0]["psnr"] == 30.456 and made["columns"][1]["best"] == "high"


def test_a_table_with_sentences_is_wide() -> None:
    """It stands below the tables that are compared, not in half of the page."""
    columns = [Column("name", "name"), Column("what", "what")]
    rows = [{"name": "step_wasserstein_hu", "what": "slices"}]
    assert not Table("", columns, rows).wide
    assert Table("", columns, [*rows, {"name": "step", "what": "mean difference of power at " * 2}]).wide
