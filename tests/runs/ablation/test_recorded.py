"""``ctgrid ablation`` from Python: results, report, pictures and a record in one folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.ablation.recorded import compare_variants


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Put results, report and pictures in place that cost nothing; return what was asked and how it shall end."""
    told: dict[str, Any] = {"phases": ["a: training"], "error": None}

    def run_ablation(name: Any, data: Path, out: Path, *, progress: Any, **options: Any) -> dict[str, Any]:
        told.update(name=name, data=data, out=out, **options)
        for phase in told["phases"]:
            progress(phase, 1, 2)
        if told["error"]:
            raise told["error"]
        out.mkdir(exist_ok=True)
        (out / "results.json").write_text("{}")
        return {"rows": []}

    def draw(results: Any, out: Path) -> list[Path]:
        (out / "measures.png").write_bytes(b"png")
        return [out / "measures.png"]

    monkeypatch.setattr("ctgrid.runs.ablation.recorded.run_ablation", run_ablation)
    monkeypatch.setattr("ctgrid.runs.ablation.recorded.report", lambda results: "## Words\n")
    monkeypatch.setattr("ctgrid.runs.ablation.pictures.draw_ablation", draw)
    return told


def test_all_lies_in_the_folder_and_is_recorded(cheap: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    record = compare_variants("k", tmp_path, out, seeds=2, overrides=("a.b=2",), argv=["ablation", "k"])
    assert (cheap["seeds"], cheap["overrides"], cheap["resume"], cheap["max_steps"]) == (2, {"a.b": 2}, False, None)
    assert [Path(made["path"]).name for made in record.outputs] == ["results.json", "report.md", "measures.png"]
    assert (out / "report.md").read_text() == "## Words\n"
    kept = json.loads((out / "run.json").read_text())
    assert kept["settings"]["overrides"] == {"a.b": 2} and kept["argv"] == ["ablation", "k"]
    assert kept["results"] == {"rows": []} and set(kept["phases"]) == {"ablation", "draw"}


def test_without_a_name_the_folder_is_named_after_the_ablation(
    cheap: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    compare_variants(tmp_path / "mine.yaml", tmp_path)
    assert cheap["out"] == Path("ablation-mine") and (tmp_path / "ablation-mine" / "run.json").is_file()


@pytest.mark.parametrize(("phases", "kept"), [(["reading"], False), (["reading", "r1, seed 0: training"], True)])
def test_a_failure_leaves_a_record_once_there_are_checkpoints(
    phases: list[str], kept: bool, cheap: dict[str, Any], tmp_path: Path
) -> None:
    cheap |= {"phases": phases, "error": CtgridError("no")}
    (tmp_path / "out").mkdir()
    with pytest.raises(CtgridError, match="no"):
        compare_variants("k", tmp_path, tmp_path / "out")
    assert (tmp_path / "out" / "run.json").exists() == kept
