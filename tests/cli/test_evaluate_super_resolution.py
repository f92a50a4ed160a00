"""``ctgrid evaluate super-resolution``: options, files, going on, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid import Volume


@pytest.fixture
def volumes(tmp_path: Path, chest: Callable[..., np.ndarray]) -> Path:
    """A folder with two chests, and a third one beside it."""
    folder = tmp_path / "real"
    folder.mkdir()
    for number, path in enumerate((folder / "a.nii.gz", folder / "b.nii.gz", tmp_path / "c.nii.gz")):
        Volume(chest((8, 64, 64), seed=number), np.diag([-5.0, -5.0, 8.0, 1.0])).write(path)
    return folder


def test_the_command(ctgrid: Callable[..., Any], volumes: Path, tiny_model: Path, tmp_path: Path) -> None:
    """A folder and a file, every method, and again from what is there."""
    out = tmp_path / "out"
    args = ["evaluate", "super-resolution", "--real", volumes, tmp_path / "c.nii.gz", "--model", tiny_model]
    args += ["--slices", "2:6:3", "--out", out, "--device", "cpu"]
    result = ctgrid(*args)
    assert (result.exit_code, result.stderr) == (0, "")
    written = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert written["kind"] == "super-resolution" and len(written["rows"]) == 18
    assert {"volume", "method", "psnr", "ssim", "ms_ssim", "seconds"} <= set(written["rows"][0])
    assert (out / "table.md").read_text(encoding="utf-8").strip() in result.stdout
    for name in ("run.json", "cases/a/x4/comparison.png", "cases/c/x4/comparison.png"):
        assert (out / name).is_file()
    record = json.loads(ctgrid(*args, "--json").stdout)
    assert record["results"] == written["rows"] and record["command"] == "evaluate super-resolution"
    assert record["settings"]["size"] == 64 and record["settings"]["methods"][-1] == "codec"


def test_training_volumes_bring_the_regression(ctgrid: Callable[..., Any], volumes: Path, tmp_path: Path) -> None:
    """Named or not; no model is needed for methods without networks."""
    args = [
        "evaluate",
        "super-resolution",
        "--real",
        tmp_path / "c.nii.gz",
        "--train",
        volumes,
        "--out",
        tmp_path / "out",
    ]
    args += ["--methods", "bicubic,patch-regression", "--size", "64", "--k", "4", "--model", tmp_path / "none"]
    result = ctgrid(*args)
    assert (result.exit_code, result.stderr) == (0, "")
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert [Path(i["path"]).name for i in record["inputs"]] == ["c.nii.gz", "real"]


@pytest.mark.parametrize("kind", ["missing", "truncated", "text", "nan", "mr"])
def test_bad_volumes(kind: str, bad_scan: Callable[[str], Path], fails: Callable[..., str], tmp_path: Path) -> None:
    """One line that names the file; no folder is left."""
    path = bad_scan(kind)
    args = ["--real", path, "--methods", "bicubic", "--size", "32", "--k", "2", "--out", tmp_path / "out"]
    assert path.name in fails("evaluate", "super-resolution", *args)


@pytest.mark.parametrize(
    ("change", "words", "code"),
    [
        (["--methods", "srgan"], "unknown super-resolution method 'srgan'", 2),
        (["--methods", ","], "names none", 2),
        (["--methods", "patch-regression"], "--train", 2),
        (["--slices", "90:"], "select none of 8", 1),
        (["--out", "nowhere/out"], "nowhere", 1),
        (["--model", "nowhere"], "nowhere", 1),
    ],
)
def test_refusals(
    change: list[str], words: str, code: int, fails: Callable[..., str], volumes: Path, tmp_path: Path
) -> None:
    """Before any work, with nothing left behind."""
    options = {"--real": tmp_path / "c.nii.gz", "--methods": "bicubic", "--size": "64", "--out": tmp_path / "out"}
    options |= {"--k": "4"} if change[0] != "--model" else {}
    options[change[0]] = change[1]
    assert words in fails("evaluate", "super-resolution", *[x for pair in options.items() for x in pair], code=code)


def test_an_input_folder_is_never_written_to(fails: Callable[..., str], volumes: Path) -> None:
    args = ["--real", volumes, "--methods", "bicubic", "--size", "64", "--k", "4", "--out", volumes / "out"]
    assert "input folder" in fails("evaluate", "super-resolution", *args)
