"""Commands where packages of extras are missing: one line with the pip command, or all the work without them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from ctgrid import Volume
from ctgrid.base.extras import EXTRAS

QUICK = ("--steps", 1, "--refine-steps", 1)


@pytest.mark.parametrize(
    ("extra", "line"),
    [
        ("store", "prepare SCAN --out X.zarr"),
        ("cluster", "prepare SCAN --out X.zarr --workers 2"),
        ("cluster", "prepare SCAN --out X.zarr --scheduler tcp://127.0.0.1:1"),
        ("train", "train codec --data IN --out run"),
        ("train", "ablation positions --data IN --out ablation"),
        ("eval", "ablation positions --data IN --out ablation"),
        ("eval", "evaluate denoising --clean SCAN --noise gaussian:50 --methods noisy --out evaluation"),
        ("eval", "evaluate nodules --clean SCAN --noise gaussian:50 --methods noisy --out evaluation"),
        ("eval", "evaluate super-resolution --real SCAN --methods bicubic --out evaluation"),
        ("eval", "evaluate volumes --real SCAN --fake SCAN --train SCAN --out evaluation"),
        ("video", "preview SCAN --out movie.mp4"),
        ("video", "synthesize --as video --frames 16 --out movie.mp4"),
    ],
)
def test_one_line_names_the_extra(
    extra: str,
    line: str,
    fails: Callable[..., str],
    without: Callable[..., None],
    scan: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "IN").mkdir()
    scan.rename(tmp_path / "IN" / "SCAN.nii.gz")
    without(*EXTRAS[extra])
    said = fails(*line.replace("SCAN", "IN/SCAN.nii.gz").split())
    assert said.endswith(f" is not installed; this needs the extra '{extra}': pip install 'ctgrid[{extra}]'\n"), said


def test_the_core_needs_no_extra(
    ctgrid: Callable[..., Result], without: Callable[..., None], scan: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """Synthesise, denoise, convert, look, describe, report: the same with all extras' packages out of reach."""
    without(*(package for packages in EXTRAS.values() for package in packages))
    made, clean = tmp_path / "made.nii.gz", tmp_path / "clean.nii.gz"
    model: tuple[Any, ...] = ("--model", tiny_model, *QUICK)
    for line in (
        ("synthesize", "--slices", 16, *model, "--out", made),
        ("denoise", scan, *model, "--out", clean),
        ("denoise", scan, "--method", "tv", "--strength", 20, "--out", tmp_path / "tv.nii.gz"),
        ("convert", scan, tmp_path / "series"),
        ("convert", tmp_path / "series", tmp_path / "scan.nrrd"),
        ("preview", clean, "--out", tmp_path / "clean.png"),
        ("preview", made, "--out", tmp_path / "made.gif"),
        ("preview", made, "--out", tmp_path / "made.html"),
        ("info", clean),
        ("report", made, clean, "--out", tmp_path / "report.html"),
        ("simulate", "phantom", "--slices", 8, "--size", 32, "--out", tmp_path / "phantom.nii.gz"),
    ):
        result = ctgrid(*line)
        assert result.exit_code == 0, (line, result.stderr)
    assert Volume.read(made).shape == (16, 64, 64)
