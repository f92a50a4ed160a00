"""Published figures: none without a source, none invented."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ctgrid.runs.report.html.table import table_html
from ctgrid.runs.results.kinds import KINDS
from ctgrid.runs.results.markdown import table_markdown
from ctgrid.runs.results.published import CT, PublishedTable, published, published_tables
from ctgrid.runs.results.table import Table, is_number

TRANSCRIBED = Path(__file__).resolve().parents[4] / "shared" / "paper" / "tables.json"
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
            assert all(is_number(v) or v is None or isinstance(v, str) for v in row.values.values())


def test_no_source_is_unused_and_every_one_says_where() -> None:
    everything = published()
    named = [key for table in everything.tables for row in table.rows for key in row.sources]
    assert set(named) == set(everything.sources)
    places = [source.where for source in everything.sources.values()]
    assert len(set(places)) == len(places)
    for place in places:
        assert re.fullmatch(r"https://\S+/\S+", place), place


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


def test_the_papers_tables_are_as_they_were_transcribed() -> None:
    """Every number, dash, column and row of the eight tables, and nothing but the paper as their source."""
    ours = {table.number: table for table in published().tables if table.of_paper}
    assert sorted(map(int, filter(None, ours))) == list(range(1, 9))
    assert all(row.sources == ["paper"] for table in ours.values() for row in table.rows)
    assert sum(len(table.rows) for table in ours.values()) == 45
    if not TRANSCRIBED.is_file():
        pytest.skip("../shared/paper is absent")
    for theirs in json.loads(TRANSCRIBED.read_text(encoding="utf-8"))["tables"]:
        table = ours[theirs["number"]]
        assert [c.key for c in table.columns] == [c["key"] for c in theirs["columns"]]
        assert [(row.method, row.values) for row in table.rows] == [(r["method"], r["values"]) for r in theirs["rows"]]


def test_where_the_paper_contradicts_itself_both_tables_say_so() -> None:
    tables = {table.number: table for table in published().tables if table.of_paper}
    for a, b, first, second in [(1, 4, "998.43", "998.9"), (3, 7, "38.27", "92.55"), (4, 6, "268.3", "383.45")]:
        for one, other in ((tables[a], tables[b]), (tables[b], tables[a])):
            said = " ".join(one.contradictions)
            assert first in said and second in said and f"Table {other.number}" in said
    (beside,) = published_tables("ablation:positions")
    assert any(note.startswith("The paper contradicts itself. ") and "998.43" in note for note in beside.notes)


def test_figures_of_other_data_sets_are_kept_apart() -> None:
    """Whole tables, rows and columns; together they are everything, each number once."""
    ct, others = published_tables(ct=True), published_tables(ct=False)
    text = "\n".join(map(table_markdown, ct))
    assert not re.search(r"\| (SkyTimelapse|Taichi)|Minecraft|ImageNet", text)
    assert not any(row.get("dataset") in CT for table in others for row in table.rows)
    (positions,) = (table for table in ct if table.title.startswith("Table 4"))
    assert {row["dataset"] for row in positions.rows} == set(CT)
    (upscaled,) = (table for table in ct if table.title.startswith("Table 6"))
    assert [c.key for c in upscaled.columns if c.key[0] in "cst" and "_" in c.key] == ["ct_4_psnr", "ct_4_fvd16"]

    def numbers(tables: list[Table]) -> int:
        cells = (row.get(column.key) for table in tables for row in table.rows for column in table.columns)
        return sum(is_number(value) for value in cells)

    assert numbers(ct) + numbers(others) == numbers(published_tables())


def test_what_was_measured_otherwise_is_marked() -> None:
    assert all(table.mark.endswith(": another protocol") for table in published_tables("volumes"))
    same = published_tables("volumes", protocol="gridit-ct-rate@1")
    assert [table.mark for table in same] == ["as published, GriDiT"] * 2
    assert not any("another" in table.mark for table in published_tables())  # beside nothing


def test_every_kind_that_tables_stand_beside_is_one() -> None:
    kinds = {*KINDS, "synthesize", "denoising"}
    for table in published().tables:
        assert {name.partition(":")[0] for name in table.beside} <= kinds, table.id


def test_sources_that_disagree_both_stand() -> None:
    (sky,) = (table for table in of_others() if table.id == "sky-peers")
    latte = {row.values["fvd"]: row.sources for row in sky.rows if row.method == "Latte"}
    assert latte[59.82] == latte[96.5] == ["latte-65"] and latte[233.66] == ["latte-80"]
    for table in of_others():
        rows = [(row.method, tuple(row.values.values())) for row in table.rows]
        assert len(set(rows)) == len(rows), table.id  # one figure twice is one row with two sources


def test_a_row_cites_by_number_what_the_note_names() -> None:
    """A single source is named below the table alone."""
    everything = published()
    for given, table in zip(everything.tables, published_tables(), strict=True):
        used = {key for row in given.rows for key in row.sources}
        cites = "read_in" in [column.key for column in table.columns]
        assert cites == (len(used) > 1)
        if not cites:
            assert table.notes[-1] == f"Read in: {everything.sources[used.pop()].name}."
            continue
        names = dict(re.findall(r"(\[\d+\]) (.*?)(?=; \[\d+\]|\.$)", table.notes[-1]))
        for row, shown in zip(given.rows, table.rows, strict=True):
            marks = str(shown["read_in"]).split()
            assert {names[mark] for mark in marks} == {everything.sources[key].name for key in row.sources}


def test_the_best_is_marked_among_rows_of_one_data_set_only() -> None:
    best = {table.title[:7]: {column.best for column in table.columns} for table in published_tables() if table.columns}
    assert best["Table 3"] == best["Table 8"] == {None} and "low" in best["Table 1"]
    ct = {table.title[:7]: {column.best for column in table.columns} for table in published_tables(ct=True)}
    assert "low" in ct["Table 4"] and best["Table 4"] == {None}


def test_a_dash_of_the_source_is_a_dash() -> None:
    (context,) = (table for table in published_tables() if table.mark == "as published by GenerateCT")
    assert context.rows[0]["clip"] is None
    assert re.search(r"\| CT-ViT .*\|\s+– \|", table_markdown(context))
    assert "<td>–</td>" in table_html(context)


def test_tables_come_with_what_they_belong_beside() -> None:
    (beside,) = published_tables("denoising")
    assert beside.title.startswith("Table 5") and beside.mark == "as published, GriDiT: another protocol"
    assert any(note.startswith("Protocol:") for note in beside.notes)
    assert any(note.startswith("Uncertain. ") for note in beside.notes)
    assert published_tables("nodules") == []
    others = [table for table in published_tables() if table.mark != "as published, GriDiT"]
    assert {table.mark for table in others} == {"as published by GenerateCT", OF_OTHERS}
