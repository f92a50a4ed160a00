"""What every pipeline is: loaded for a place and a precision, described, and watched by phase."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from ctgrid.base.errors import CtgridError
from ctgrid.methods import pipeline
from ctgrid.methods.pipeline import ModelPipeline, Stopwatch, cast_weights


def test_seconds_are_counted_by_phase_and_through_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.5, 10.0, 10.25, 20.0, 24.0])
    monkeypatch.setattr(pipeline.time, "perf_counter", lambda: next(clock))
    watch = Stopwatch()
    with watch("a"):
        pass
    with watch("b"):
        pass
    with pytest.raises(KeyError), watch("a"):
        raise KeyError
    assert watch.rounded() == {"a": 5.5, "b": 0.25}


def test_a_gpu_is_waited_for_before_the_clock_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(pipeline, "wait_for", waited.append)
    with Stopwatch(device=torch.device("cpu"))("a"):
        assert waited == []
    assert waited == [torch.device("cpu")]


def test_a_model_is_loaded_for_its_place_and_says_so(tiny_model: Path) -> None:
    one = ModelPipeline.load(str(tiny_model), "cpu", "float32")
    told = one.describe()
    assert (told["device"], told["dtype"]) == ("cpu", "float32") and told["files"]
    assert repr(one) == f"ModelPipeline({one.bundle.name}, cpu, float32)"
    with pytest.raises(CtgridError, match="nowhere"):
        ModelPipeline.load("nowhere", "cpu")


def test_a_part_may_come_from_elsewhere(tiny_model: Path, make_model: Callable[..., Path]) -> None:
    other = make_model(absolute_z=False)
    one = ModelPipeline.load(str(tiny_model), "cpu", "float32", stage1=other / "stage1")
    assert not one.bundle.stage1.absolute_z and ModelPipeline.load(str(tiny_model), "cpu").bundle.stage1.absolute_z


def test_a_model_of_something_else_is_refused_by_name(make_model: Callable[..., Path]) -> None:
    """A pipeline says what it can use."""
    folder = str(make_model(content="video"))
    with pytest.raises(
        CtgridError, match="it was trained on video and makes no CT; use it with ctgrid synthesize --as"
    ):
        ModelPipeline.load(folder, "cpu")

    @dataclass(frozen=True)
    class Both(ModelPipeline):
        contents = ("ct", "video")

    assert Both.load(folder, "cpu").bundle.facts1.content == "video"


def test_only_layers_that_multiply_are_cast() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(4, 2))
    network.register_parameter("positions", nn.Parameter(torch.zeros(3)))
    cast_weights(network, torch.bfloat16)
    found = {name: parameter.dtype for name, parameter in network.named_parameters()}
    assert {found[name] for name in ("0.weight", "0.bias", "3.weight", "3.bias")} == {torch.bfloat16}
    assert {found[name] for name in ("1.weight", "1.bias", "positions")} == {torch.float32}
