"""Work goes on visibly: without a terminal by a line of each phase, and now and then where it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ctgrid_cli import app, progress


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what other tests leave out, see ``tests/conftest.py``."""
    monkeypatch.setattr(progress, "QUICK_SECONDS", 3.0)


def lines(*calls: tuple[float, str, int, int]) -> list[str]:
    """Return what is said of calls at seconds."""
    said: list[str] = []
    now = iter([0.0, *(call[0] for call in calls)])
    report = progress.phase_lines(said.append, lambda: next(now))
    for _, phase, done, total in calls:
        report(phase, done, total)
    return said


def test_each_phase_is_said_once() -> None:
    """Those that began before anything was said too, in order."""
    early = ((0.1, "reading", 0, 1), (1.0, "stage 1", 1, 8), (2.9, "stage 1", 2, 8))
    assert lines(*early) == []
    assert lines(*early, (3.5, "stage 1", 3, 8), (4.0, "stage 2", 1, 5), (5.0, "stage 2", 2, 5)) == [
        "0 s: reading",
        "1 s: stage 1, 1 of 8",
        "4 s: stage 2, 1 of 5",
    ]


def test_a_long_phase_says_where_it_is() -> None:
    """Every half minute; many scans do not repeat their phases."""
    steps = [(float(second), "stage 1", second, 100) for second in range(4, 70)]
    assert lines(*steps) == ["4 s: stage 1, 4 of 100", "34 s: stage 1, 34 of 100", "64 s: stage 1, 64 of 100"]
    scans = [(4.0 + scan, f"phantom {scan}/9: writing", 0, 1) for scan in range(9)]
    assert lines(*scans) == ["4 s: phantom 0/9: writing"]


def test_an_unexpected_pause_is_no_reason_to_say_less() -> None:
    """The line of a phase that began early comes with the first call later on."""
    assert lines((0.0, "loading", 0, 1), (50.0, "stage 1", 0, 1)) == ["0 s: loading", "50 s: stage 1"]


def test_commands_tell_their_phases_in_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On stderr; results stay alone on stdout."""
    monkeypatch.setattr(progress, "QUICK_SECONDS", 0.0)
    scan = tmp_path / "scan.nii.gz"
    made = CliRunner().invoke(app, f"simulate phantom --slices 2 --size 32 --noise 30 --out {scan} --json".split())
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["command"] == "simulate phantom"
    assert [line.split(": ")[-1] for line in made.stderr.splitlines()] == ["painting slices, 0 of 2", "writing"]
    denoised = CliRunner().invoke(app, f"denoise {scan} --method bilateral --strength 30 --no-picture".split())
    phases = [line.split(": ")[-1].split(",")[0] for line in denoised.stderr.splitlines()]
    assert denoised.exit_code == 0 and {"reading", "loading the method", "bilateral", "writing"} <= set(phases), phases
    assert len(phases) == len(set(phases))
