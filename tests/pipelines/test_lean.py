"""Loading a model takes no more imports than it needs."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from ctgrid.pipelines.lean import import_diffusers
import_diffusers()
from ctgrid.pipelines.synthesize import SynthesisPipeline
from ctgrid.diffusion.solvers import SAMPLERS, build_solver
from ctgrid.diffusion.schedule import Schedule
for sampler in SAMPLERS:
    build_solver(sampler, Schedule.linear(), "v")
names = ("torch._dynamo", "sympy", "scipy.stats", "monai", "nibabel", "skimage")
heavy = [name for name in names if name in sys.modules]
import torch._dynamo
print(heavy, callable(torch._dynamo.optimize))
"""


def test_no_compiler_is_loaded_until_somebody_asks() -> None:
    """Pipeline and samplers do without torch's compiler, which is there afterwards."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == "[] True\n"
