"""Ctrl-C and SIGTERM in the middle of writing: one line, the right code, an empty folder."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

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
    [
        (signal.SIGINT, 130, "ctgrid: interrupted\n"),
        (signal.SIGTERM, 143, "ctgrid: terminated\n"),
        (signal.SIGHUP, 129, "ctgrid: hung up\n"),
    ],
)
def test_signal_while_writing(number: signal.Signals, code: int, line: str, tmp_path: Path, forked: Any) -> None:
    """The temporary file is there when the signal comes, and gone afterwards."""
    process = forked(SCRIPT, tmp_path / "a.nii.gz")
    written = process.line()
    assert "/.a-" in written and ".nii.gz" in written
    os.kill(process.pid, number)
    end = process.wait(30)
    assert (end.returncode, end.stderr) == (code, line)
    assert list(tmp_path.iterdir()) == []
