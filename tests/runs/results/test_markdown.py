"""Markdown of tables and of whole descriptions."""

from __future__ import annotations

from ctgrid.runs.results.description import Description
from ctgrid.runs.results.markdown import aligned, description_markdown, table_markdown
from ctgrid.runs.results.table import Column, Table

TABLE = Table(
    "A <i>title</i> | of two",
    [Column("method", "method"), Column("psnr", "PSNR dB", ".2f", "high")],
    [{"method": "<b>", "psnr": 30.456}, {"method": "nlm|x", "psnr": 31.0}, {"method": "sr", "psnr": None}],
    notes=["a < b"],
)


def test_markdown_stays_a_table() -> None:
    lines = table_markdown(TABLE).splitlines()
    assert lines[0] == r"**A &lt;i>title&lt;/i> \| of two**"
    assert [line.count("|") - line.count("\\|") for line in lines[2:7]] == [3] * 5
    assert lines[-1] == "a &lt; b"


def test_the_best_is_starred_and_what_is_not_known_a_dash() -> None:
    text = table_markdown(TABLE)
    assert "31.00* |" in text and "30.46 |" in text and "– |" in text


def test_what_others_published_is_marked() -> None:
    published = Table("t", TABLE.columns, TABLE.rows, mark="as published")
    assert table_markdown(published).startswith("**t** (as published)\n")


def test_long_tables_are_cut_where_asked() -> None:
    text = table_markdown(TABLE, most_rows=2)
    assert "| sr" not in text and "nlm" in text and "… and 1 more" in text


def test_a_description_is_its_notes_and_its_tables() -> None:
    text = description_markdown(Description("title", [TABLE, TABLE], notes=["first | of all"]))
    assert text.startswith("first \\| of all\n\n**A ") and text.count("PSNR dB") == 2 and "title\n" not in text


def test_columns_are_aligned() -> None:
    rows = [["a", "1"], ["bb", "22"]]
    assert aligned(["name", "n"], rows).splitlines()[1:3] == ["|:-----|----:|", "| a    |   1 |"]
    assert aligned(["name", "n"], rows, left={0, 1}).splitlines()[2] == "| a    | 1   |"
