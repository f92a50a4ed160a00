"""What run records tell: tables of runs, curves of training, results that only a record holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ctgrid.runs.report.html.found import Run
from ctgrid.runs.report.html.run_view import MOST_POINTS, describe_runs, record_view, training_chart
from ctgrid.runs.results.markdown import description_markdown


def test_runs_of_one_kind_share_a_table(tmp_path: Path) -> None:
    settings = {"count": 2, "size": 512, "slices": 201, "model": "embedded"}
    record = {"command": "synthesize", "seconds": 30.0, "settings": settings, "peak_memory_mib": {"process": 2048}}
    case = {"source": "a.nii", "status": "done", "noise_hu": 20.0, "removed_hu": 18.0, "seconds": 3}
    denoising = {"command": "denoise", "results": {"cases": [case, {**case, "file": "b.nii"}]}}
    runs = [Run(tmp_path / name / "run.json", one) for name, one in (("x", record), ("y", record), ("z", denoising))]
    made, cleaned = describe_runs(runs)
    (table,) = made.tables
    assert made.beside == "synthesize" and [row["run"] for row in table.rows] == ["x", "y"]
    assert table.rows[0] | {"run": ""} == {
        **{"run": "", "size": "512 × 512 × 201", "model": "embedded", "device": None},
        **{"seconds": 15.0, "memory": 2.0},  # of one of two volumes
    }
    assert [row["file"] for row in cleaned.tables[0].rows] == ["a.nii", "b.nii"]


def test_a_ceiling_is_described_from_its_record(samples: dict[str, Any], tmp_path: Path) -> None:
    run = Run(tmp_path / "ceiling.json", {"command": "model ceiling", "results": samples["ceiling"]})
    (described,) = describe_runs([run])
    assert described.title == f"Codec ceiling: {run.path}" and "| cells in grids, 16 px " in description_markdown(
        described
    )


def test_a_damaged_record_is_left_as_it_is(samples: dict[str, Any], tmp_path: Path) -> None:
    results = samples["ceiling"] | {"full": {"windows": {"full": 3}}}
    assert describe_runs([Run(tmp_path / "x.json", {"command": "model ceiling", "results": results})]) == []


def test_results_that_have_a_file_are_not_told_twice(samples: dict[str, Any], tmp_path: Path) -> None:
    assert describe_runs([Run(tmp_path / "run.json", {"command": "ablation", "results": samples["ablation"]})]) == []


def test_a_training_curve_is_the_mean_of_equal_stretches(tmp_path: Path) -> None:
    run, count = Run(tmp_path / "run.json", {"command": "train"}), 2 * MOST_POINTS
    assert training_chart(run) is None
    lines = [json.dumps({"step": i, "loss": float(i % 2)}) for i in range(count)]
    (tmp_path / "log.jsonl").write_text("\n".join([*lines, '{"step": 40', json.dumps({"step": 1, "loss": None})]))
    chart = training_chart(run)
    assert chart is not None and len(chart.series["loss"]) == MOST_POINTS
    assert chart.series["loss"][0] == (0.5, 0.5) and chart.series["loss"][-1] == pytest.approx((count - 1.5, 0.5))
    assert describe_runs([run])[0].charts == [chart]


def test_a_record_is_shown_whole_and_what_matters_first(tmp_path: Path) -> None:
    record = {"zebra": [1, 2], "seed": 7, "command": "<b>", "status": "done", "seconds": 1.25, "none": None}
    made = record_view(Run(tmp_path / "run.json", {**record, "many": list(range(20))}))
    assert made.index("<dt>command</dt>") < made.index("<dt>seed</dt>") < made.index("<dt>zebra</dt>")
    assert "&lt;b&gt;: done, 1.2 s" in made and "<b>" not in made and "none" not in made and "… and 8 more" in made
