"""Rows that belong together, and means of what is a number."""

from __future__ import annotations

import math

from ctgrid.runs.results.rows import describe_rows, grouped, mean, means_by_method, present, sentences
from ctgrid.runs.results.table import Column

ROWS = [
    {"method": "b", "noise": 1, "psnr": 2.0},
    {"method": "a", "noise": 2, "psnr": None},
    {"method": "b", "noise": 1.0, "psnr": 4.0},
    {"method": "b", "noise": 1, "psnr": 6.0},
]


def test_groups_keep_the_order_of_their_rows() -> None:
    assert [[row["psnr"] for row in group] for group in grouped(ROWS, "method", "noise")] == [[2.0, 6.0], [None], [4.0]]
    assert grouped([], "method") == []


def test_means_leave_out_what_is_no_number() -> None:
    assert mean([1, None, "x", True, math.nan, 2.0]) == 1.5 and mean([None]) is None
    assert means_by_method(ROWS, "psnr") == {"b": 4.0}


def test_columns_without_a_value_are_left_out() -> None:
    columns = [Column("psnr", "PSNR"), Column("ssim", "SSIM"), Column("method", "method")]
    assert [c.key for c in present(columns, ROWS)] == ["psnr", "method"] and present(columns, ROWS[1:2])[0] == columns[
        2
    ]


def test_sentences_are_said_once() -> None:
    assert sentences("a", "", None, "b", "a") == ["a", "b"]


def test_rows_of_an_unknown_kind_are_shown_as_they_are() -> None:
    rows = [{"arm": "x", "loss": 0.123456, "steps": 10, "deep": {"no": 1}}, {"arm": "y", "loss": 1}]
    described = describe_rows({"kind": "my-try", "rows": rows, "notes": ["n"]})
    (table,) = described.tables
    assert described.title == table.title == "My try" and table.notes == ["n"]
    assert [(c.key, c.form) for c in table.columns] == [("arm", ""), ("loss", ".4g"), ("steps", "")]
