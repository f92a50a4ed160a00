"""Curves over the noise, and spectra of what is left: the numbers that were measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid.runs.evaluation.denoising_plots import curves, draw_denoising, spectra
from ctgrid.runs.evaluation.keep import Kept, keep_case


def row(method: str, noise: str, noise_hu: float, psnr: float | None, volume: str = "v") -> dict[str, Any]:
    return {"volume": volume, "noise": noise, "method": method, "noise_hu": noise_hu, "psnr": psnr, "ssim": 0.5}


ROWS = [
    row("noisy", "gaussian:50", 50.0, 30.0),
    row("noisy", "gaussian:50", 50.0, 32.0, "w"),
    row("noisy", "gaussian:100", 100.0, 24.0),
    row("noisy", "low-dose:0.25", 70.0, 28.0),
    row("tv", "gaussian:50", 50.0, 38.0),
    row("tv", "gaussian:100", 100.0, None),
]


def test_each_method_has_a_line_over_white_noise_and_crosses_for_other_noise() -> None:
    """Means over scans; a level that could not be measured is a gap."""
    psnr, ssim = curves(ROWS).axes
    lines = {(line.get_label(), line.get_marker()): line for line in psnr.lines}
    noisy, tv = lines["noisy", "o"], lines["tv", "o"]
    assert np.array_equal(noisy.get_xdata(), [50, 100]) and np.array_equal(noisy.get_ydata(), [31, 24])
    assert tv.get_ydata()[0] == 38 and np.isnan(tv.get_ydata()[1])
    (cross,) = (line for line in psnr.lines if line.get_marker() == "x")
    assert (list(cross.get_xdata()), list(cross.get_ydata())) == ([70], [28]) and cross.get_color() == noisy.get_color()
    assert psnr.get_xscale() == "log" and len(ssim.lines) == 3
    assert [text.get_text() for text in psnr.get_legend().get_texts()] == ["noisy", "tv"]


def test_without_white_noise_crosses_have_the_names() -> None:
    psnr, _ = curves([row("tv", "low-dose:0.25", 70.0, 28.0)]).axes
    assert [text.get_text() for text in psnr.get_legend().get_texts()] == ["tv"]


def test_spectra_are_of_those_that_have_one() -> None:
    frequency = np.linspace(0.1, 0.7, 9)
    plane = np.zeros((4, 4), np.int16)
    kept = {
        "clean": Kept(0, plane, np.empty(0), np.empty(0)),
        "tv": Kept(0, plane, frequency, np.full(9, 400.0)),
        "flat": Kept(0, plane, frequency, np.zeros(9)),
    }
    (axis,) = spectra(kept, "v").axes
    shown = {line.get_label(): line.get_ydata() for line in axis.lines}
    assert set(shown) == {"tv", "flat"} and (shown["tv"] == 400).all()
    assert (shown["flat"] == 1e-3).all(), "a logarithm needs something"


def test_pictures_lie_with_their_cases(tmp_path: Path) -> None:
    hu = np.zeros((3, 32, 32), np.float32)
    for name in ("clean", "noisy"):
        keep_case(tmp_path, "v", "gaussian:50", name, np.arange(3), hu)
    paths = draw_denoising(ROWS[:1], tmp_path)
    assert [p.relative_to(tmp_path).as_posix() for p in paths] == ["curves.png", "cases/v/gaussian-50/comparison.png"]
    with pytest.raises(KeyError):
        draw_denoising([{}], tmp_path)
