"""``ctgrid report``: three files and a record, or one line that says why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_page_markdown_json_and_record(ctgrid: Callable[..., Any], scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    result = ctgrid("report", scan, "--out", out, "--title", "A scan", "--max-mb", 1)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{out}: ") and "1 volume, 0 results, 0 runs" in result.stdout
    data = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert data["title"] == "A scan" and data["volumes"][0]["shape"][0] == 20
    assert (tmp_path / "report.md").read_text(encoding="utf-8").startswith("# A scan\n")
    record = json.loads((tmp_path / "report.report.run.json").read_text(encoding="utf-8"))
    assert record["inputs"][0]["path"] == str(scan) and record["results"]["volumes"] == 1
    assert [Path(one["path"]).suffix for one in record["outputs"]] == [".html", ".md", ".json"]


def test_denoising_run_becomes_a_pair(ctgrid: Callable[..., Any], fake: Any, scan: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    made = ctgrid("denoise", scan, "--method", "grid", "--out", tmp_path / "run" / "quiet.nii.gz")
    assert made.exit_code == 0, made.output
    result = ctgrid("report", tmp_path / "run", scan, "--out", tmp_path / "x.html", "--json")
    record = json.loads(result.stdout)
    assert (record["results"]["pairs"], record["results"]["runs"]) == (1, 1)
    text = (tmp_path / "x.md").read_text(encoding="utf-8")
    assert "before and after" in text and "| quiet.nii.gz" in text


def test_bad_inputs_get_one_line_and_leave_nothing(
    fails: Callable[..., str], bad_scan: Callable[[str], Path], scan: Path, tmp_path: Path
) -> None:
    out = tmp_path / "x.html"
    for kind in ("missing", "truncated", "empty", "text"):
        assert kind in fails("report", bad_scan(kind), "--out", out)
    (tmp_path / "results.json").write_text('{"kind": "volumes"}')
    assert "holds no results" in fails("report", tmp_path / "results.json", "--out", out)
    for name in ("x.pdf", "x.txt", "x"):  # a usage error, as of ctgrid preview
        assert ".html" in fails("report", scan, "--out", tmp_path / name, code=2)
    assert "create it first" in fails("report", scan, "--out", tmp_path / "no" / "x.html")
    (tmp_path / "x.json").write_text("mine")
    assert "--overwrite" in fails("report", scan, "--out", out)


def test_overwrite_keeps_the_older_record(ctgrid: Callable[..., Any], scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.html"
    for more in ((), ("--overwrite",)):
        assert ctgrid("report", scan, "--out", out, *more).exit_code == 0
    assert (tmp_path / "x.report.run-1.json").is_file()


def test_store_as_ctgrid_prepare_leaves_it(ctgrid: Callable[..., Any], scan: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.nii.gz").write_bytes(scan.read_bytes())
    store = tmp_path / "run" / "s.zarr"
    scans = [tmp_path / f"{name}.nii.gz" for name in "abc"]
    sizes = ("--protocol", "canonical", "--size", 32, "--k", 2, "--slices", 8)
    assert ctgrid("prepare", *scans, "--out", store, *sizes).exit_code == 0
    for source, runs in ((store, 0), (store.parent, 1)):
        out = tmp_path / f"{runs}.html"
        result = ctgrid("report", source, "--out", out, "--max-volumes", 2, "--json")
        record = json.loads(result.stdout)
        assert (record["results"]["volumes"], record["results"]["runs"]) == (2, runs)
        read = [Path(one["path"]).name for one in record["inputs"]]
        assert read == ["s.run.json"] * runs + ["a", "b"]
        assert record["results"]["notes"] == [
            "1 of 3 volumes are not in this page, which --max-volumes limits to 2: c."
        ]


def test_one_unreadable_file_among_those_named(
    fails: Callable[..., str], bad_scan: Any, scan: Path, tmp_path: Path
) -> None:
    said = fails("report", scan, bad_scan("truncated"), "--out", tmp_path / "x.html")
    assert "truncated" in said and "no report was written" in said
