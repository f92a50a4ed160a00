"""``ctgrid view``: one file and its record, or an address until Ctrl-C."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctgrid.runs.report.html.serve import Served


def test_file_and_record(ctgrid: Callable[..., Any], scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.html"
    result = ctgrid("view", scan, scan, "--out", out, "--json")
    record = json.loads(result.stdout)
    assert (result.exit_code, record["command"], record["settings"]["max_mb"]) == (0, "view", None)
    assert record["outputs"][0]["path"] == str(out) and (tmp_path / "x.view.run.json").is_file()


def test_address(ctgrid: Callable[..., Any], scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: Served) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Served, "wait", stop)
    result = ctgrid("view", scan, "--no-browser")
    assert result.exit_code == 0 and f"{scan}: http://127.0.0.1:" in result.stdout
    assert json.loads(ctgrid("view", scan, "--no-browser", "--json").stdout)["url"].endswith("/")


def test_bad_inputs_get_one_line(
    fails: Callable[..., str], bad_scan: Callable[[str], Path], scan: Path, tmp_path: Path
) -> None:
    out = tmp_path / "x.html"
    for kind in ("missing", "truncated", "text"):
        assert kind in fails("view", bad_scan(kind), "--out", out)
        assert kind in fails("view", scan, "--labels", bad_scan(kind), "--out", out)
    assert ".html" in fails("view", scan, "--out", tmp_path / "x.png", code=2)
    out.write_text("mine")
    assert "--overwrite" in fails("view", scan, "--out", out)
    assert out.read_text() == "mine"
