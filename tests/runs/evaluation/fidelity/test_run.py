"""Two sets compared from Python: the files, the record, and what is refused before anything is measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.fidelity.run import compare_video, compare_volumes

FLICKER = [{"frames": 16, "real": 2.5, "n_real": 4, "fake": 3.0, "n_fake": 2}]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Put measures in place that cost nothing; return the plans they are asked by."""
    plans: list[Any] = []

    def evaluate_video(real: Path, fake: Path, plan: Any, *rest: object) -> dict[str, Any]:
        plans.append(plan)
        sets = {role: [{"path": f"{role}.mp4", "sha256": "0" * 64}] for role in ("real", "fake")}
        told = {"left_out": ["c.mp4: cut off"], "failed": ["c.mp4: cut off"], "warnings": []}
        return {"kind": "video", "measures": [], "flicker": FLICKER, "clips": sets, **told}

    def evaluate_volumes(*rest: object) -> dict[str, Any]:
        raise CtgridError("nothing can be measured")

    monkeypatch.setattr("ctgrid.runs.evaluation.fidelity.video.evaluate_video", evaluate_video)
    monkeypatch.setattr("ctgrid.runs.evaluation.fidelity.evaluate.evaluate_volumes", evaluate_volumes)
    return plans


def test_results_table_and_record_lie_in_the_folder(measured: list[Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = compare_video(tmp_path / "real", tmp_path / "fake", out, seed=7, cached=False, argv=["evaluate", "video"])
    assert measured[0].seed == 7 and done.path == out / "results.json"
    assert {path.name for path in out.iterdir()} == {"results.json", "table.md", "run.json"}
    kept = json.loads(done.path.read_text(encoding="utf-8"))
    assert kept == done.content and kept["flicker"] == FLICKER
    assert kept["run"]["command"] == "evaluate video" and "torch" in kept["run"]["versions"]
    assert "Flicker" in (out / "table.md").read_text(encoding="utf-8")
    told = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert [(each["set"], each["path"]) for each in told["inputs"]] == [("real", "real.mp4"), ("fake", "fake.mp4")]
    assert told["results"] == {"left_out": ["c.mp4: cut off"], "failed": ["c.mp4: cut off"]}
    assert told["settings"]["cache"] is None and told["settings"]["layout"] == "folder"
    assert not {"train", "real_frame", "field_mm", "metadata"} & set(told["settings"]), "movies have none"
    with pytest.raises(CtgridError, match=r"results\.json.*--overwrite"):
        compare_video(tmp_path / "real", tmp_path / "fake", out)
    assert len(measured) == 1
    compare_video(tmp_path / "real", tmp_path / "fake", out, overwrite=True)


def test_results_never_lie_among_what_is_compared(measured: list[Any], tmp_path: Path) -> None:
    for name in ("fake", "train"):
        (tmp_path / name).mkdir()
    with pytest.raises(CtgridError, match="is the input"):
        compare_video(tmp_path / "real", tmp_path / "fake", tmp_path / "fake")
    with pytest.raises(CtgridError, match="lies inside the input folder"):
        compare_volumes(tmp_path / "real", tmp_path / "fake", tmp_path / "train" / "x", train=tmp_path / "train")
    assert measured == [] and not list(tmp_path.glob("*/*"))


def test_a_failure_leaves_nothing(measured: list[Any], tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match="nothing can be measured"):
        compare_volumes(tmp_path / "real", tmp_path / "fake", tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.json"))
