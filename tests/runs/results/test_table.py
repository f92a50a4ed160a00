"""Tables as data: what a cell says, which is the best, which holds sentences."""

from __future__ import annotations

import math

import pytest

from ctgrid.runs.results.table import Column, Table, is_number, number

TABLE = Table(
    "title",
    [Column("method", "method"), Column("psnr", "PSNR dB", ".2f", "high"), Column("s", "s", "", "low")],
    [{"method": "a", "psnr": 30.456, "s": 2}, {"method": "b", "psnr": 31.0, "s": None}],
)


def test_the_best_of_a_column_is_told_where_there_is_a_choice() -> None:
    assert [[TABLE.is_best(row, c) for c in TABLE.columns] for row in TABLE.rows] == [
        [False, False, False],  # one of the two seconds is not known
        [False, True, False],
    ]


def test_equals_are_none_the_best() -> None:
    table = Table("", [Column("x", "x", best="high")], [{"x": 1.0}, {"x": 1.0}])
    assert not any(table.is_best(row, table.columns[0]) for row in table.rows)


def test_json_holds_the_numbers() -> None:
    made = TABLE.as_dict()
    assert made["rows"][0]["psnr"] == 30.456 and made["columns"][1]["best"] == "high"


def test_a_span_stands_behind_its_mean_where_it_is_one() -> None:
    column = Column("x", "x", ".1f", span=("low", "high"))
    rows = [{"x": 2.0, "low": 1.0, "high": 3.0}, {"x": 2.0, "low": 2.0, "high": 2.0}, {"x": 2.0, "low": None}, {}]
    table = Table("", [column], rows)
    assert [table.cell(row, column) for row in rows] == ["2.0 (1.0 … 3.0)", "2.0", "2.0", "–"]


def test_a_table_with_sentences_is_wide() -> None:
    """It stands below the tables that are compared, not in half of the page."""
    columns = [Column("name", "name"), Column("what", "what")]
    rows = [{"name": "step_wasserstein_hu", "what": "slices"}]
    assert not Table("", columns, rows).wide
    assert Table("", columns, [*rows, {"name": "step", "what": "mean difference of power at " * 2}]).wide


@pytest.mark.parametrize(("value", "told"), [(1, True), (-0.5, True), (math.nan, False), (True, False), ("1", False)])
def test_a_number_is_told_from_all_else(value: object, told: bool) -> None:
    assert is_number(value) == told


def test_numbers_are_written_by_their_form_and_words_as_they_are() -> None:
    assert [number(v, ".1f") for v in (1.25, "words", None)] == ["1.2", "words", "–"]
    assert number(0.75, "") == "0.75" and number(0.25, ".0%") == "25%"
