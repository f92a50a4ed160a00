"""Published figures: none without a source, none invented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ctgrid.report.html.published import published, published_tables
from ctgrid.report.html.table import NOT_AT_HAND, is_number

DESIGN = Path(__file__).resolve().parents[4] / "shared" / "DESIGN.md"


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
    assert {table.mark for table in others} == {"as published by GenerateCT", "as published by others"}
