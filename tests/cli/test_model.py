"""``ctgrid model pack``: three runs become a folder that ``--model`` takes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctgrid import Volume
from ctgrid.base.files import sha256_of

PARTS = ("codec", "stage1", "stage2")


@pytest.fixture
def line(tiny_model: Path, tmp_path: Path) -> list[object]:
    """The command line for runs that hold the tiny model's parts."""
    for part in PARTS:
        shutil.copytree(tiny_model / part, tmp_path / "runs" / part / "model")
    options = [text for part in PARTS for text in (f"--{part}", tmp_path / "runs" / part)]
    return ["model", "pack", *options, "--out", tmp_path / "packed"]


def test_packed_runs_make_volumes(ctgrid: Callable[..., Any], line: list[object], tmp_path: Path) -> None:
    """With a record that names what went in and what came out."""
    result = ctgrid(*line, "--half", "--json")
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    record = json.loads((tmp_path / "packed" / "run.json").read_text(encoding="utf-8"))
    assert json.loads(result.stdout)["outputs"] == record["outputs"]
    assert [entry["part"] for entry in record["inputs"]] == [entry["part"] for entry in record["outputs"]] == [*PARTS]
    assert record["settings"]["half"] is True and record["argv"][:2] == ["model", "pack"]
    name = "diffusion_pytorch_model.safetensors"
    assert record["model"]["files"][f"codec/{name}"] == sha256_of(tmp_path / "packed" / "codec" / name)
    out = tmp_path / "volume.nii.gz"
    quick = ("--slices", 3, "--size", 32, "--steps", 2, "--refine-steps", 1, "--device", "cpu", "--no-picture")
    result = ctgrid("synthesize", "--model", tmp_path / "packed", *quick, "--out", out)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    assert Volume.read(out, hu="stored").shape == (3, 32, 32)


def test_packing_again_needs_leave(
    ctgrid: Callable[..., Any], fails: Callable[..., str], line: list[object], tmp_path: Path
) -> None:
    """The first record is kept beside the second."""
    first = ctgrid(*line)
    assert first.exit_code == 0 and first.stdout.startswith(str(tmp_path / "packed")), first.output
    assert "--overwrite" in fails(*line)
    assert ctgrid(*line, "--overwrite").exit_code == 0
    assert {p.name for p in (tmp_path / "packed").iterdir()} == {*PARTS, "run-1.json", "run.json"}


def test_runs_that_are_none_leave_nothing(fails: Callable[..., str], line: list[object], tmp_path: Path) -> None:
    """Missing parts and missing parents, in one line."""
    assert "nowhere" in fails(*line[:-1], tmp_path / "nowhere" / "packed")
    assert "stage2" in fails(*line[:6], "--stage2", tmp_path / "runs", *line[8:])


def test_a_group_without_a_command_shows_its_help(ctgrid: Callable[..., Any]) -> None:
    """As ``ctgrid`` itself does."""
    result = ctgrid("model")
    assert result.exit_code == 0 and "pack" in result.stdout
