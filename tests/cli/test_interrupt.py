"""Ctrl-C and SIGTERM in the middle of writing: one line, the right code, an empty folder."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys, time
from dataclasses import replace
from pathlib import Path
from types import ModuleType
import numpy as np
from ctgrid_cli import app

class Pipeline:
    load = classmethod(lambda cls, **options: cls())
    describe = dict
    resolve = lambda self, settings, limit: replace(settings, size=8)
    affine = lambda self, settings: np.eye(4)
    def stream(self, seeds, settings, receive, progress):
        receive(0, 0, lambda: np.full((3, 8, 8), -1000, np.int16))
        while not (there := list(folder.iterdir())):
            time.sleep(0.01)
        print(*there, flush=True)
        time.sleep(60)

folder = Path(sys.argv[1]).parent
sys.modules["ctgrid.methods.synthesis.pipeline"] = module = ModuleType("fake")
module.SynthesisPipeline = Pipeline
app(["synthesize", "--slices", "4", "--out", sys.argv[1]])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(
    ("number", "code", "line"),
    [(signal.SIGINT, 130, "ctgrid: interrupted\n"), (signal.SIGTERM, 143, "ctgrid: terminated\n")],
)
def test_signal_while_writing(number: signal.Signals, code: int, line: str, tmp_path: Path) -> None:
    """The temporary file is there when the signal comes, and gone afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "a.nii.gz")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell's background job would ignore Ctrl-C, and pass that on
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    written = process.stdout.readline()
    assert "/.a-" in written and ".nii.gz" in written
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (code, line)
    assert list(tmp_path.iterdir()) == []
