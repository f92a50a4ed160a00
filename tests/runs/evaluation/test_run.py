"""``ctgrid evaluate`` from Python: requests say what plans say, and the files are the command's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.run import compare_denoising


def test_methods_are_compared(chest_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results, table and record; what lacks its noise is refused before."""
    monkeypatch.setattr("ctgrid.runs.evaluation.denoising_plots.draw_denoising", lambda rows, out: [])
    out = tmp_path / "out"
    with pytest.raises(CtgridError, match="noise must be given"):
        compare_denoising([chest_file], out, methods=("noisy",))
    assert not out.exists()
    done = compare_denoising([chest_file], out, noise=("gaussian:50",), methods=("noisy", "tv"), slices="6:8")
    assert [row["method"] for row in done.content] == ["noisy", "tv"] and done.path == out / "results.json"
    assert json.loads(done.path.read_text(encoding="utf-8")) == done.content
    assert {"results.json", "table.md", "run.json"} <= {path.name for path in out.iterdir()}
    assert done.record.settings["slices"] == "6:8" and done.record.status == "done"
