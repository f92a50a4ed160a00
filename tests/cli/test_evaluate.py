"""``ctgrid evaluate``: options, files, resuming, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid import Volume
from ctgrid_cli.evaluate import SpreadCommand
from ctgrid_cli.spread import spread_out


@pytest.fixture
def lungs(tmp_path: Path) -> Path:
    """A clean chest of 12 slices with lungs of litres."""
    y, x = np.mgrid[-1:1:48j, -1:1:48j]
    plane = np.where(x**2 + (y * 1.3) ** 2 < 0.8, 40, -1000)
    plane[((abs(x) - 0.4) / 0.28) ** 2 + (y / 0.5) ** 2 < 1] = -850
    hu = np.repeat(plane[None], 12, axis=0) + np.arange(12)[:, None, None] % 5
    return Volume(hu.astype(np.int16), np.diag([-6.0, -6.0, 8.0, 1.0])).write(tmp_path / "lungs.nii.gz")


def test_several_values_after_one_option() -> None:
    """Each gets its option's name; a value alone and other options are left as they are."""
    line = "--clean a b --noise g:1 --out x --methods n,m k --clean c --json"
    wanted = "--clean a --clean b --noise g:1 --out x --methods n,m --methods k --clean c --json"
    assert spread_out(line.split(), SpreadCommand.spread) == wanted.split()


def test_denoising(ctgrid: Callable[..., Any], lungs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The form of the command, what it writes and prints, and that it goes on."""
    second = Volume(Volume.read(lungs).hu[::-1].copy(), Volume.read(lungs).affine).write(tmp_path / "two.nii.gz")
    out = tmp_path / "out"
    args = ["evaluate", "denoising", "--clean", lungs, second, "--noise", "gaussian:40"]
    args += ["--methods", "noisy,tv", "--out", out, "--slices", "2:10:4"]
    result = ctgrid(*args)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "| tv" in result.stdout and "two, gaussian:40" in result.stdout
    rows = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert len(rows) == 4 and {"volume", "noise", "method", "psnr", "ssim", "seconds"} <= set(rows[0])
    assert (out / "table.md").read_text(encoding="utf-8").strip() in result.stdout
    for name in ("curves.png", "run.json", "cases/lungs/gaussian-40/comparison.png"):
        assert (out / name).is_file()
    monkeypatch.setattr("ctgrid.runs.evaluation.denoising_plots.draw_denoising", lambda rows, out: [])
    again = ctgrid(*args, "--json")
    record = json.loads(again.stdout)
    assert record["results"] == rows and record["command"] == "evaluate denoising"
    assert record["settings"]["methods"] == ["noisy", "tv"] and len(record["inputs"]) == 2


def test_nodules(ctgrid: Callable[..., Any], lungs: Path, tmp_path: Path) -> None:
    """The table, the list and the picture."""
    out = tmp_path / "out"
    result = ctgrid(
        "evaluate", "nodules", "--clean", lungs, "--noise", "gaussian:50", "--methods", "noisy", "tv", "--out", out
    )
    assert (result.exit_code, result.stderr) == (0, "")
    assert "contrast recovered" in result.stdout and "false / l" in result.stdout
    rows = json.loads((out / "nodules.json").read_text(encoding="utf-8"))
    assert [row["method"] for row in rows] == ["noisy", "tv"] and rows[0]["nodules"]
    assert (out / "nodules.md").is_file() and (out / "cases/lungs/gaussian-50/nodules.png").is_file()


@pytest.mark.parametrize("kind", ["missing", "truncated", "empty", "text", "four-d", "rgb", "nan", "mr"])
def test_bad_scans(kind: str, bad_scan: Callable[[str], Path], fails: Callable[..., str], tmp_path: Path) -> None:
    """One line that names the file; no folder is left."""
    path = bad_scan(kind)
    args = ["--clean", path, "--noise", "gaussian:50", "--methods", "tv", "--out", tmp_path / "out"]
    for what in ("denoising", "nodules"):
        assert str(path) in fails("evaluate", what, *args)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--noise", "poisson:3"], "gaussian:HU"),
        (["--methods", "bm4d"], "unknown denoising method 'bm4d'"),
        (["--methods", ","], "names none"),
        (["--methods", "generatect"], "--weights"),
        (["--slices", "90:"], "select none of 12"),
        (["--out", "nowhere/out"], "nowhere"),
    ],
)
def test_refusals(change: list[str], words: str, fails: Callable[..., str], lungs: Path, tmp_path: Path) -> None:
    """Before any work, with nothing left behind."""
    options = {"--clean": lungs, "--noise": "gaussian:50", "--methods": "tv", "--out": tmp_path / "out"}
    options[change[0]] = change[1]
    assert words in fails("evaluate", "denoising", *[x for pair in options.items() for x in pair])


def test_an_input_folder_is_never_written_to(fails: Callable[..., str], lungs: Path) -> None:
    out = lungs.parent / "out"
    assert "input folder" in fails(
        "evaluate", "denoising", "--clean", lungs.parent, "--noise", "gaussian:5", "--methods", "tv", "--out", out
    )


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("evaluate denoising --noise gaussian:50 --out x", "--clean"),
        ("evaluate denoising --clean a --out x", "--noise"),
        ("evaluate denoising --clean a --noise gaussian:50 --out x --strength weak", "--strength"),
        ("evaluate nodules --clean a --noise gaussian:50", "--out"),
        ("evaluate nonsense", "nonsense"),
    ],
)
def test_wrong_usage(fails: Callable[..., str], line: str, word: str) -> None:
    assert word in fails(*line.split(), code=2)
