"""Published figures: none without a source, none invented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ctgrid.runs.report.html.published import PublishedTable, published, published_tables
from ctgrid.runs.report.html.table import NOT_AT_HAND, is_number

DESIGN = Path(__file__).resolve().parents[4] / "shared" / "DESIGN.md"
OF_OTHERS = "of other papers, not read in GriDiT's tables"


def of_others() -> list[PublishedTable]:
    """Return the tables of peers."""
    return [table for table in published().tables if table.id.endswith("-peers")]


def test_every_number_has_a_source_and_every_cell_a_value() -> None:
    everything = published()
    for table in everything.tables:
        keys = {column.key for column in table.columns}
        assert table.protocol and table.rows
        for row in table.rows:
            assert set(row.values) == keys, (table.id, row.method)
            assert set(row.sources) <= set(everything.sources)
            known = any(is_number(value) for value in row.values.values())
            assert known == bool(row.sources), (table.id, row.method)
            assert all(is_number(v) or v is None or v == NOT_AT_HAND or isinstance(v, str) for v in row.values.values())


def test_no_source_is_unused_and_every_one_says_where() -> None:
    everything = published()
    named = [key for table in everything.tables for row in table.rows for key in row.sources]
    assert set(named) == set(everything.sources)
    places = [source.where for source in everything.sources.values()]
    assert len(set(places)) == len(places)
    for place in places:
        assert re.fullmatch(r"https://\S+/\S+", place) or place.endswith("(not part of the repository)"), place


def test_figures_of_peers_are_marked_and_say_whose_they_are() -> None:
    assert {table.id for table in of_others()} == {
        "sky-peers",
        "taichi-peers",
        "minecraft-peers",
        "super-resolution-peers",
    }
    for table in of_others():
        assert table.mark == OF_OTHERS and table.number is None and table.missing
        for row in table.rows:
            assert row.figure_from and row.sources, (table.id, row.method)
            assert all(published().sources[key].where.startswith("https://") for key in row.sources)
            assert "GriDiT" not in row.method
    ours = [table for table in published().tables if table.mark == "as published"]
    assert not any(row.figure_from for table in ours for row in table.rows)


def test_what_is_not_at_hand_of_the_paper_stays_so() -> None:
    """Peers' figures fill no gap in GriDiT's own tables."""
    tables = {table.id: table for table in published().tables}
    for name in ("sky", "taichi", "naive", "super-resolution"):
        assert {v for row in tables[name].rows for v in row.values.values()} == {NOT_AT_HAND}, name


def test_sources_that_disagree_both_stand() -> None:
    (sky,) = (table for table in of_others() if table.id == "sky-peers")
    latte = {row.values["fvd"]: row.sources for row in sky.rows if row.method == "Latte"}
    assert latte[59.82] == latte[96.5] == ["latte-65"] and latte[233.66] == ["latte-80"]
    for table in of_others():
        rows = [(row.method, tuple(row.values.values())) for row in table.rows]
        assert len(set(rows)) == len(rows), table.id  # one figure twice is one row with two sources


def test_a_row_cites_by_number_what_the_note_names() -> None:
    everything = published()
    for given, table in zip(everything.tables, published_tables(), strict=True):
        names = dict(re.findall(r"(\[\d+\]) (.*?)(?=; \[\d+\]|\.$)", table.notes[-1]))
        for row, shown in zip(given.rows, table.rows, strict=True):
            marks = str(shown["read_in"]).split()
            assert {names[mark] for mark in marks} == {everything.sources[key].name for key in row.sources}
        assert ("read_in" in [column.key for column in table.columns]) == bool(names)


def test_a_dash_of_the_source_is_a_dash() -> None:
    (context,) = (table for table in published_tables() if table.mark == "as published by GenerateCT")
    assert context.rows[0]["clip"] is None
    assert re.search(r"\| CT-ViT .*\|\s+– \|\s+\[1\] \|", context.markdown())
    assert "<td>–</td>" in context.html()


def test_every_data_set_and_baseline_of_the_paper_has_its_table() -> None:
    of_paper = " ".join(t.title + " ".join(r.method for r in t.rows) for t in published().tables)
    for name in ("CT-RATE", "SkyTimelapse", "Taichi", "Minecraft", "SinSR", "naive", "GenerateCT", "bilateral"):
        assert name in of_paper


def test_numbers_that_the_design_notes_quote_agree_with_them() -> None:
    if not DESIGN.is_file():
        pytest.skip("../shared/DESIGN.md is absent")
    quoted = set(map(float, re.findall(r"\d+\.\d+", DESIGN.read_text(encoding="utf-8").split("## 5.")[1])))
    tables = {table.id: table for table in published().tables}
    five = [v for row in tables["denoising"].rows for v in row.values.values()]
    assert set(five) <= quoted
    for row in tables["ct-rate"].rows[:2]:
        assert round(float(row.values["fvd_201"] or 0), 1) in quoted and row.values["fid_201"] in quoted


def test_tables_come_with_what_they_belong_beside() -> None:
    (beside,) = published_tables("denoising")
    assert beside.title.startswith("Table 5") and beside.mark == "as published, GriDiT"
    assert any(note.startswith("Protocol:") for note in beside.notes)
    assert any("not at hand" in note.lower() for note in beside.notes)
    assert published_tables("nodules") == []
    others = [table for table in published_tables() if table.mark != "as published, GriDiT"]
    assert {table.mark for table in others} == {"as published by GenerateCT", "as published by others", OF_OTHERS}
