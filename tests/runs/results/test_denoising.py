"""Results of ``evaluate denoising``: a table for each scan and noise, figures over the noise."""

from __future__ import annotations

from typing import Any

import pytest

from ctgrid.runs.results.chart import Bars, Lines
from ctgrid.runs.results.denoising import case_title, describe, recognises


def test_denoising_has_a_table_for_each_noise_and_curves_over_it(samples: dict[str, Any]) -> None:
    described = describe(samples["denoising"])
    first, second = described.tables
    assert first.title.endswith("gaussian:50: 50 HU of noise") and "2000 HU" in described.notes[0] and second.rows
    assert [c.key for c in first.columns] == ["method", "psnr", "ssim", "seconds"]  # no column without a value
    psnr, ssim = described.charts
    assert isinstance(psnr, Lines) and psnr.series["nlm"] == [(50, 42.5), (100, 40.0)]
    assert isinstance(ssim, Lines)


def test_one_noise_is_drawn_as_bars(samples: dict[str, Any]) -> None:
    psnr, _ = describe(samples["denoising"][:2]).charts
    assert isinstance(psnr, Bars) and psnr.values == {"noisy": 37.5, "nlm": 42.5}


def test_other_noise_than_white_stands_beside_the_curves(samples: dict[str, Any]) -> None:
    """As bars; a method that lacks a figure at a level has no point there."""
    rows = [*samples["denoising"], {**samples["denoising"][0], "noise": "low-dose:0.25", "psnr": 30.0}]
    rows[3] = {**rows[3], "ssim": None}
    lines, bars, ssim, _ = describe(rows).charts
    assert isinstance(lines, Lines) and lines.log_x and len(lines.series["noisy"]) == 2
    assert isinstance(bars, Bars) and bars.title == "PSNR in dB, low-dose:0.25" and bars.values == {"noisy": 30.0}
    assert isinstance(ssim, Lines) and [len(points) for points in ssim.series.values()] == [2, 1]


def test_titles_say_what_is_known() -> None:
    row = {"volume": "a", "noise": "gaussian:50"}
    assert case_title(row) == "a, gaussian:50"
    assert case_title({**row, "noise_hu": 49.6, "slices_measured": 9}) == "a, gaussian:50: 50 HU of noise, 9 slices"
    assert case_title({**row, "noise_hu": "loud"}) == "a, gaussian:50"


@pytest.mark.parametrize("content", [[], {}, None, [1], [{"volume": "a", "noise": "n", "method": "m", "psnr": 1}]])
def test_other_rows_are_none(content: Any, samples: dict[str, Any]) -> None:
    assert recognises(samples["denoising"]) and not recognises(content)
