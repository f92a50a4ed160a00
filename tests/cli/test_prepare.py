"""``ctgrid prepare``: its summary, its record, its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

SMALL = ("--protocol", "canonical", "--size", 16, "--slices", 8)


def test_the_summary_counts_and_names_what_failed(
    ctgrid: Callable[..., Result], scan: Path, bad_scan: Callable[[str], Path], tmp_path: Path
) -> None:
    bad = bad_scan("truncated")
    result = ctgrid("prepare", scan, bad, "--out", tmp_path / "X.zarr", *SMALL)
    assert result.exit_code == 0, result.stderr
    assert "1 of 2 scans" in result.stdout and f"failed  truncated: {bad}" in result.stdout
    assert str(tmp_path / "X.report.jsonl") in result.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "X.report.jsonl",
        "X.run.json",
        "X.zarr",
        "scan.nii.gz",
        "truncated.nii.gz",
    ]


def test_most_scans_failing_is_a_failure_that_keeps_what_is_ready(
    ctgrid: Callable[..., Result], scan: Path, bad_scan: Callable[[str], Path], tmp_path: Path
) -> None:
    bad = [bad_scan(kind) for kind in ("truncated", "text")]
    result = ctgrid("prepare", scan, *bad, "--out", tmp_path / "X.zarr", *SMALL)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("ctgrid: 2 of 3 scans failed, 1 is ready; ") and result.stderr.count("\n") == 1
    report = tmp_path / "X.report.jsonl"
    assert str(report) in result.stderr
    rows = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    assert {row["name"]: row["status"] for row in rows} == {"scan": "ok", "truncated": "failed", "text": "failed"}
    record = json.loads((tmp_path / "X.run.json").read_text(encoding="utf-8"))
    assert record["status"] == "failed" and record["results"]["failed"] == 2


def test_json_is_the_run_record(ctgrid: Callable[..., Result], scan: Path, tmp_path: Path) -> None:
    result = ctgrid("prepare", scan, "--out", tmp_path / "X.zarr", *SMALL, "--json")
    record = json.loads(result.stdout)
    assert record == json.loads((tmp_path / "X.run.json").read_text(encoding="utf-8"))
    assert record["command"] == "prepare" and record["status"] == "done"
    counts = {key: record["results"][key] for key in ("cases", "ok", "skipped", "failed", "already_there")}
    assert counts == {"cases": 1, "ok": 1, "skipped": 0, "failed": 0, "already_there": 0}
    assert record["settings"]["protocol"] == "canonical" and record["settings"]["slices"] == 8
    again = json.loads(ctgrid("prepare", scan, "--out", tmp_path / "X.zarr", *SMALL, "--json").stdout)
    assert again["results"]["already_there"] == 1


def test_a_scan_that_the_protocol_leaves_out_is_no_failure(
    ctgrid: Callable[..., Result], scan: Path, tmp_path: Path
) -> None:
    result = ctgrid("prepare", scan, "--out", tmp_path / "X.zarr", "--size", 16)
    assert result.exit_code == 0 and "skipped       1" in result.stdout and "20 slices" in result.stdout


@pytest.mark.parametrize("kind", ["missing", "truncated", "empty", "text", "four-d", "rgb", "mr", "nan", "one-slice"])
def test_a_bad_scan_alone_is_one_line_and_leaves_nothing(
    kind: str, fails: Callable[..., str], bad_scan: Callable[[str], Path], tmp_path: Path
) -> None:
    bad = bad_scan(kind)
    assert str(bad) in fails("prepare", bad, "--out", tmp_path / "X.zarr", *SMALL)


def test_what_cannot_be_is_refused_before_anything_is_read(
    fails: Callable[..., str], scan: Path, tmp_path: Path
) -> None:
    out = ("--out", tmp_path / "X.zarr")
    assert "--scheduler" in fails("prepare", scan, *out, "--workers", 2, "--scheduler", "tcp://x", code=2)
    assert "201 slices" in fails("prepare", scan, *out, "--slices", 20, code=2)
    assert "no multiple" in fails("prepare", scan, *out, "--size", 30, code=2)
    assert "cannot read" in fails("prepare", scan, *out, "--metadata", tmp_path / "none.csv")
    assert "does not exist" in fails("prepare", scan, "--out", tmp_path / "none" / "X.zarr")


def test_strict_fails_and_keeps_what_is_done(
    ctgrid: Callable[..., Result], scan: Path, bad_scan: Callable[[str], Path], tmp_path: Path
) -> None:
    result = ctgrid("prepare", scan, bad_scan("truncated"), "--out", tmp_path / "X.zarr", *SMALL, "--strict")
    assert result.exit_code == 1 and result.stdout == ""
    assert "--strict" in result.stderr and result.stderr.count("\n") == 1
    assert json.loads((tmp_path / "X.run.json").read_text(encoding="utf-8"))["status"] == "failed"
    assert (tmp_path / "X.zarr" / "scan").is_dir()
