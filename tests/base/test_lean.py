"""Loading a model takes no more imports than it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

SYNTHESIS = """
from ctgrid.base.lean import import_diffusers
import_diffusers()
from ctgrid.methods.synthesis.pipeline import SynthesisPipeline
from ctgrid.stages.diffusion.samplers import SAMPLERS
from ctgrid.stages.diffusion.schedule import Schedule
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
names = ("torch._dynamo", "sympy", "scipy.stats", "monai", "nibabel", "skimage")
heavy = [name for name in names if name in sys.modules]
import torch._dynamo
print(heavy, callable(torch._dynamo.optimize))
"""


@pytest.mark.parametrize("script", [SYNTHESIS, DENOISING], ids=["synthesis", "denoising"])
def test_no_compiler_is_loaded_until_somebody_asks(script: str) -> None:
    """Pipelines and samplers do without torch's compiler, which is there afterwards."""
    done = subprocess.run([sys.executable, "-c", script + CHECK], capture_output=True, text=True, check=True)
    assert done.stdout == "[] True\n"
