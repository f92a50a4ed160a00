"""What is asked of ``ctgrid evaluate``: requests say what plans say, and texts are read or refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from pathlib import Path

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import all_settings
from ctgrid.runs.evaluation.denoising_plan import Evaluation
from ctgrid.runs.evaluation.fidelity.evaluate import FidelityPlan
from ctgrid.runs.evaluation.fidelity.run import compare_volumes
from ctgrid.runs.evaluation.fidelity.settings import FidelityRequest
from ctgrid.runs.evaluation.run import compare_denoising, compare_on_nodules, compare_upscaling
from ctgrid.runs.evaluation.settings import (
    DenoisingRequest,
    TrialRequest,
    UpscalingRequest,
    read_given,
)
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


def test_what_methods_are_told() -> None:
    assert read_given("known") == "known" and read_given("auto") == "auto" and read_given("12.5") == 12.5
    for text in ("", "-1", "loud"):
        with pytest.raises(CtgridError, match="neither 'auto' nor a number of HU"):
            read_given(text)


def test_a_request_becomes_a_plan() -> None:
    """Kinds of noise are read; without methods the quick ones are compared."""
    plan = TrialRequest(noise=("gaussian:20,50",), methods=("noisy", "tv"), slices="2:9", strength=5.0).plan()
    assert [str(noise) for noise in plan.noises] == ["gaussian:20", "gaussian:50"] and plan.methods == ("noisy", "tv")
    assert (plan.slices, plan.strength) == ("2:9", 5.0)
    assert "noisy" in TrialRequest(noise=("gaussian:20",)).plan().methods
    with pytest.raises(CtgridError, match="salt"):
        TrialRequest(noise=("salt:20",)).plan()


def test_sinsr_without_its_method_has_no_use() -> None:
    asked = UpscalingRequest(methods=("bicubic",), sinsr=Path("SinSR"))
    with pytest.raises(CtgridError, match="no use without method sinsr"):
        asked.chosen()
    assert replace(asked, methods=()).chosen()[-1] == "sinsr"
    with pytest.raises(CtgridError, match="no use without --sinsr DIR"):
        UpscalingRequest(sinsr_weights=Path("w.pth")).chosen()
