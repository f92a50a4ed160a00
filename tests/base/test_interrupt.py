"""Signals that stop a command: one line, the right code, an empty folder; the first may be asked to wait."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.interrupt import Stopped, StopSignals, signals_stop

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
    coarse_count = lambda self, settings: settings.slices
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


def test_the_first_signal_is_kept_and_the_second_interrupts() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals() as stop:
        assert not stop.received and stop.stopped().code == 143  # as for another process's
        signal.raise_signal(signal.SIGINT)
        assert stop.received and (stop.stopped().code, stop.stopped().word) == (130, "interrupted")
        with pytest.raises(Stopped) as caught:
            signal.raise_signal(signal.SIGTERM)
        assert (caught.value.code, caught.value.word) == (143, "terminated")
        assert stop.number == signal.SIGINT
    assert signal.getsignal(signal.SIGTERM) is before


def test_each_signal_unwinds_and_what_is_ignored_stays_so() -> None:
    """As ``nohup`` has it; afterwards all is as it was."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with pytest.raises(Stopped) as caught, signals_stop():
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGTERM)
        assert caught.value.number == signal.SIGTERM
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with StopSignals(), signals_stop():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
