"""``ctgrid evaluate`` from Python: requests say what plans say, and the files are the command's."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import all_settings
from ctgrid.runs.evaluation.denoising_plan import Evaluation
from ctgrid.runs.evaluation.fidelity.evaluate import FidelityPlan
from ctgrid.runs.evaluation.fidelity.run import compare_volumes
from ctgrid.runs.evaluation.fidelity.settings import FidelityRequest
from ctgrid.runs.evaluation.run import compare_denoising, compare_on_nodules, compare_upscaling
from ctgrid.runs.evaluation.settings import DenoisingRequest, TrialRequest, UpscalingRequest
from ctgrid.runs.evaluation.super_resolution import Comparison

REQUESTS = {
    compare_denoising: (DenoisingRequest, Evaluation),
    compare_on_nodules: (TrialRequest, Evaluation),
    compare_upscaling: (UpscalingRequest, Comparison),
    compare_volumes: (FidelityRequest, FidelityPlan),
}


@pytest.mark.parametrize("call", REQUESTS, ids=lambda call: call.__name__)
def test_defaults_are_one(call: Callable[..., object]) -> None:
    """Of the call, of what it is asked, and of the plan that is made of that."""
    request, plan = REQUESTS[call]
    known, shown = all_settings(request), inspect.signature(call).parameters
    for name, setting in known.items():
        wanted = inspect.Parameter.empty if setting.default is MISSING else setting.default
        assert shown[name].default == wanted
    planned = {field.name: field.default for field in fields(plan) if field.default is not MISSING}
    for name in set(planned) & set(known) - {"methods"}:  # quick ones by the model
        assert (planned[name] or None) == (known[name].default or None), name


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
