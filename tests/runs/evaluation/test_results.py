"""The list of results that grows on disk: gone on with, replaced, refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.results import Cases, Results, case_hash


def row(method: str, case: str = "1", **more: Any) -> dict[str, Any]:
    """Return one row."""
    return {"volume": "v", "noise": "n", "method": method, "case": case, **more}


def test_rows_are_on_disk_after_every_one_and_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results = Results.open(path)
    assert not path.exists()
    results.put(row("a", psnr=1.0))
    assert json.loads(path.read_text()) == [row("a", psnr=1.0)]
    again = Results.open(path)
    assert again.find("v", "n", "a", "1") == row("a", psnr=1.0) and again.find("v", "n", "a", "2") is None


def test_a_row_takes_the_place_of_the_older_one(tmp_path: Path) -> None:
    results = Results.open(tmp_path / "results.json")
    for one in (row("a"), row("b"), row("a", case="2")):
        results.put(one)
    assert [(r["method"], r["case"]) for r in results.rows] == [("a", "2"), ("b", "1")]


def test_only_what_is_missing_is_run_and_every_row_is_kept_at_once(tmp_path: Path) -> None:
    """Also those before a failure; the next call goes on behind them."""
    results, ran, told = Results.open(tmp_path / "results.json"), list[dict[str, str]](), list[tuple[str, int, int]]()
    results.put(row("a"))

    def run(missing: dict[str, str]) -> Iterator[dict[str, Any]]:
        ran.append(missing)
        for method, case in missing.items():
            if method == "bad":
                raise CtgridError("no")
            yield row(method, case)

    def work(*methods: str) -> Iterator[Cases]:
        yield Cases("v, n", {"volume": "v", "noise": "n"}, dict.fromkeys(methods, "1"), run)

    with pytest.raises(CtgridError, match="no"):
        results.complete(work("a", "b", "bad", "c"), 4, "reading", lambda *step: told.append(step))
    assert ran == [{"b": "1", "bad": "1", "c": "1"}] and told == [("reading", 1, 4), ("v, n", 2, 4)]
    again = Results.open(tmp_path / "results.json")
    assert [r["method"] for r in again.rows] == ["a", "b"]
    again.complete(work("a", "b", "c"), 3, "reading")
    again.complete(work("a", "b", "c"), 3, "reading")
    assert ran[1:] == [{"c": "1"}] and [r["method"] for r in again.rows] == ["a", "b", "c"]


def test_a_kind_stands_beside_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    Results.open(path, identity=("volume",), kind="toy").put({"volume": "v", "case": "1"})
    assert json.loads(path.read_text()) == {"kind": "toy", "rows": [{"volume": "v", "case": "1"}]}
    again = Results.open(path, identity=("volume",), kind="toy")
    assert again.content == json.loads(path.read_text())
    for wrong in ({"kind": "other"}, {}):
        with pytest.raises(CtgridError, match="holds no results of this evaluation; pass --overwrite"):
            Results.open(path, identity=("volume",), **wrong)


@pytest.mark.parametrize("content", ["{", "3", '[{"volume": "v"}]', '{"rows": []}'])
def test_other_files_are_refused_and_kept_until_the_first_row(tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(CtgridError, match="pass --overwrite to replace it"):
        Results.open(path)
    fresh = Results.open(path, overwrite=True)
    assert not fresh.rows and path.read_text() == content
    fresh.put(row("a"))
    assert json.loads(path.read_text()) == [row("a")]


def test_a_case_is_named_by_its_facts_in_any_order() -> None:
    assert case_hash(a=1, b=Path("x")) == case_hash(b=Path("x"), a=1) != case_hash(a=2, b=Path("x"))
    assert len(case_hash()) == 16
