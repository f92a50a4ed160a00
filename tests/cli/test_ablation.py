"""``ctgrid ablation``: one command from volumes to results, report and pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Put results in place that cost nothing; return the calls."""
    calls: list[dict[str, Any]] = []
    row = {"variant": "a", "seed": 0, "fd": 1.5, "model": "a-seed0", "parameters": 10, "tokens": 4, "passes": 1}
    row |= {"training_patients": 2, "steps": 3, "train_seconds": 1.0, "sample_seconds": 2.0}
    results = {
        "kind": "ablation",
        "title": "T",
        "question": "Q",
        "note": "",
        "seeds": 1,
        "complete": True,
        "variants": [{"name": "a", "says": "what"}],
        "sampling": {"samples": 2},
        "measuring": {"side_px": 16},
        "training": ["x"],
        "held_out": ["y"],
        "reference": {"training": {"fd": 1.0}, "held_out": {}},
        "summary": {"a": {"fd": {"mean": 1.5, "min": 1.5, "max": 1.5}}},
        "rows": [row],
    }

    def run_ablation(name: str, data: Path, out: Path, *, progress: Any, **options: Any) -> dict[str, Any]:
        calls.append({"name": name, "data": data, "out": out, **options})
        (out / "samples").mkdir(parents=True, exist_ok=True)
        (out / "results.json").write_text(json.dumps(results))
        progress("a, seed 0: training", 1, 2)
        return results

    monkeypatch.setattr("ctgrid.runs.ablation.recorded.run_ablation", run_ablation)
    return calls


def test_options_reach_the_library(ctgrid: Callable[..., Any], bench: list[dict[str, Any]], tmp_path: Path) -> None:
    """And report, picture and record lie in the folder."""
    out = tmp_path / "out"
    options = ["--seeds", 2, "--max-steps", 5, "--split", "s.yaml:train", "--set", "optimisation.batch_size=4"]
    result = ctgrid("ablation", "k", "--data", tmp_path, "--out", out, *options, "--resume")
    assert result.exit_code == 0, result.stderr
    assert re.search(r"\| a +\| 1\.50 \|", result.stdout)
    (call,) = bench
    assert call["overrides"] == {"optimisation.batch_size": 4}
    assert (call["seeds"], call["max_steps"], call["split"], call["resume"]) == (2, 5, "s.yaml:train", True)
    assert (out / "report.md").read_text(encoding="utf-8").startswith("## T")
    assert (out / "measures.png").is_file() and (out / "run.json").is_file()


def test_json_holds_the_results(ctgrid: Callable[..., Any], bench: list[dict[str, Any]], tmp_path: Path) -> None:
    """The run record, with the rows."""
    result = ctgrid("ablation", "k", "--data", tmp_path, "--out", tmp_path / "out", "--json")
    record = json.loads(result.stdout)
    assert record["command"] == "ablation" and record["results"]["rows"][0]["fd"] == 1.5


def test_wrong_input(fails: Callable[..., str], tmp_path: Path) -> None:
    """An unknown name, a folder that cannot be made, a change that is none."""
    (tmp_path / "data").mkdir()
    assert "positions" in fails("ablation", "nothing", "--data", tmp_path / "data", "--out", tmp_path / "out")
    assert "no" in fails("ablation", "k", "--data", tmp_path / "data", "--out", tmp_path / "no" / "out")
    assert "--set" in fails("ablation", "k", "--data", tmp_path, "--out", tmp_path / "o", "--set", "x", code=2)
    assert "no scan" in fails("ablation", "k", "--data", tmp_path / "data", "--out", tmp_path / "out")
