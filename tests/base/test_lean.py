"""Loading a model takes no more imports than it needs."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from ctgrid.base import lean
from ctgrid.base.lean import leave_at_once, patient_threads, uncollected
from ctgrid_cli import app

SYNTHESIS = """
from ctgrid.methods.synthesis.pipeline import SynthesisPipeline
from ctgrid.stages.diffusion.samplers import SAMPLERS
from ctgrid.stages.diffusion.schedule import Schedule
SynthesisPipeline.load()
for sampler in SAMPLERS.values():
    sampler.build(Schedule.linear(), "v")
"""

DENOISING = """
from ctgrid.runs.denoising.bench import CaseBench
from ctgrid.runs.denoising.settings import Request
bench = CaseBench(Request())
bench.identity, bench.method
"""

CHECK = """
import sys
names = ("diffusers", "torch._dynamo", "sympy", "scipy.stats", "monai", "nibabel", "skimage")
print([name for name in names if name in sys.modules])
"""

PLANNING = """
from ctgrid.methods.training.config import load_config
from ctgrid.methods.training.plan import plan
print(plan(load_config("tiny-ct-rate-stage1")).seconds_per_step > 0)
print([name for name in ("accelerate", "diffusers", "torch._dynamo", "sympy") if name in sys.modules])
"""

AFTERWARDS = """
import torch._dynamo
print(callable(torch._dynamo.optimize))
"""


@pytest.mark.slow
def test_no_compiler_is_loaded_until_somebody_asks() -> None:
    """Pipelines, samplers and plans do without torch's compiler, which is there afterwards."""
    code = SYNTHESIS + CHECK + DENOISING + CHECK + PLANNING + AFTERWARDS
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[]", "True", "[]", "True"]


@pytest.mark.parametrize("on", [True, False])
def test_imports_without_the_collector_leave_it_as_it_was(on: bool) -> None:
    before = gc.isenabled()
    (gc.enable if on else gc.disable)()
    try:
        with pytest.raises(ImportError), uncollected():
            assert not gc.isenabled()
            raise ImportError
        assert gc.isenabled() == on
    finally:
        (gc.enable if before else gc.disable)()


@pytest.mark.parametrize(("before", "after", "frozen"), [(False, True, 1), (True, True, 0), (False, False, 0)])
def test_what_comes_with_torch_is_never_collected(
    before: bool, after: bool, frozen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {"torch": sys} if before else {}
    monkeypatch.setattr(lean, "sys", SimpleNamespace(modules=modules))
    calls: list[int] = []
    monkeypatch.setattr(gc, "freeze", lambda: calls.append(1))
    with uncollected():
        modules.update({"torch": sys} if after else {})
    assert len(calls) == frozen


def test_the_command_line_ends_without_the_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it has begun, however often it is called."""
    registered: list[object] = []
    monkeypatch.setattr("atexit.register", registered.append)
    leave_at_once.cache_clear()
    try:
        for _ in range(2):
            assert CliRunner().invoke(app, ["--version"]).exit_code == 0
    finally:
        leave_at_once.cache_clear()
    assert registered.count(gc.freeze) == 1


@pytest.mark.parametrize(
    ("loaded", "chosen", "inside"), [(False, None, "PASSIVE"), (False, "ACTIVE", "ACTIVE"), (True, None, None)]
)
def test_threads_are_told_to_sleep_before_torch_is_loaded(
    loaded: bool, chosen: str | None, inside: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {name: module for name, module in sys.modules.items() if loaded or name != "torch"}
    monkeypatch.setattr(lean, "sys", SimpleNamespace(modules=modules | ({"torch": sys} if loaded else {})))
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if chosen:
        monkeypatch.setenv("OMP_WAIT_POLICY", chosen)
    with pytest.raises(ImportError), patient_threads():
        assert os.environ.get("OMP_WAIT_POLICY") == inside
        raise ImportError
    assert os.environ.get("OMP_WAIT_POLICY") == chosen
