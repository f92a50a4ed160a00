"""What a command prints when it is done."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ctgrid.base.record import RunRecord
from ctgrid_cli.output import cost, describe, finish, warn, wrote


def record(*names: str, written: bool = True, kept: tuple[str, ...] = ()) -> RunRecord:
    made = RunRecord("convert", Path("out/run.json"))
    made.outputs = [{"path": name} for name in names] + [{"path": name, "kept": True} for name in kept]
    made.written = written
    return made


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (record("out/a.nii", written=False), ""),
        (record(), "wrote out/run.json"),
        (record("out/a.nii"), "wrote out/a.nii and run.json"),
        (record("out/a.nii", "out/b.png"), "wrote out/a.nii, b.png and run.json"),
        (record("a.nii", "out/b.png"), "wrote a.nii, out/b.png and out/run.json"),
        (record("out/a.nii", kept=("out/b.nii",)), "wrote out/a.nii and run.json"),
        (record(kept=("out/b.nii",)), "wrote out/run.json"),
        (record(*(f"out/{i}" for i in range(5)), "x/y"), "wrote 5 files in out, 1 files in x; out/run.json"),
    ],
)
def test_the_last_line_names_what_was_written(made: RunRecord, line: str) -> None:
    assert wrote(made) == line


def test_lines_for_people_or_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters of names steer no terminal."""
    finish(record("out/a\x1b[2J.nii"), False, ["done", "two\nlines"])
    said = capsys.readouterr().out
    assert said.startswith("done\ntwo\nlines\nwrote out/a") and "\x1b" not in said
    finish(record("out/a.nii"), True, ["done"])
    assert json.loads(capsys.readouterr().out)["outputs"] == [{"path": "out/a.nii"}]


def test_warnings_are_a_line_each_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    warn("a.nii", ["is odd", "is\nvery odd"])
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err == "ctgrid: warning: a.nii: is odd\nctgrid: warning: a.nii: is very odd\n"


def test_shapes_as_people_write_them() -> None:
    volume: Any = SimpleNamespace(shape=(3, 20, 10), spacing_mm=(2.5, 0.756, 0.7))
    assert describe(volume) == "10 x 20 x 3 voxels of 0.70 x 0.76 x 2.50 mm"


def test_the_cost_names_phases_that_took_time() -> None:
    made = record()
    made.add_phases({"read": 0.049, "denoise": 12.34})
    said = cost(made)
    assert "(denoise 12.3 s)" in said and "read" not in said and "peak memory" in said
