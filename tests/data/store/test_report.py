"""The report survives kills, keeps what still holds, and never tells of one scan twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctgrid import CtgridError
from ctgrid.data.store.report import Report, read_report, report_path, tally


def row(name: str, status: str = "ok", **facts: object) -> dict[str, object]:
    """Return a row."""
    return {"name": name, "input": f"/d/{name}.nii", "status": status, "reason": None, **facts}


def test_it_lies_beside_the_store() -> None:
    assert report_path(Path("/d/X.zarr")) == Path("/d/X.report.jsonl")
    assert report_path(Path("/d/X")) == Path("/d/X.report.jsonl")


def test_rows_are_there_as_soon_as_they_are_added(tmp_path: Path) -> None:
    path = tmp_path / "X.report.jsonl"
    with Report(path, []) as report:
        report.add(row("a", reason="ä\nb"))
        assert read_report(path) == [row("a", reason="ä\nb")]
        report.add(row("b", "failed"))
    with Report(path, [row("a")]) as report:
        report.add(row("c"))
    assert read_report(path) == [row("a"), row("c")]


def test_a_line_cut_off_is_passed_over_and_the_latest_counts(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with Report(path, []) as report:
        report.add(row("a", "failed"))
        report.add(row("b"))
        report.add(row("a"))
    with path.open("a", encoding="utf-8") as stream:
        stream.write('{"name": "c", "sta')
    assert read_report(path) == [row("b"), row("a")]
    assert read_report(tmp_path / "none") == []
    with pytest.raises(CtgridError, match="cannot read the report"):
        read_report(tmp_path)


def test_an_empty_report_of_a_failed_run_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with pytest.raises(CtgridError), Report(path, []):
        raise CtgridError("x")
    assert not path.exists()


def test_the_tally_counts() -> None:
    rows = [
        row("a", peak_mib=900.0),
        row("b", already_there=True, peak_mib=2000.0),
        row("c", "skipped"),
        row("d", "failed"),
    ]
    assert tally(rows) == {"cases": 4, "ok": 2, "skipped": 1, "failed": 1, "already_there": 1, "peak_mib": 900.0}
