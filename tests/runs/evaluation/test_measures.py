"""Measures of a slice, their means, the spectrum of what is left, tables and pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid.metrics import psnr
from ctgrid.metrics.regions import body_mask, lung_mask
from ctgrid.runs.evaluation.denoising_plots import draw_denoising
from ctgrid.runs.evaluation.keep import keep_case
from ctgrid.runs.evaluation.measures import mean_of, measure_residual, measure_slice, measure_tissues, residual_spectrum
from ctgrid.runs.results.kinds import describe
from ctgrid.runs.results.markdown import description_markdown


@pytest.fixture(scope="module")
def slices(chest: Callable[..., np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return one clean slice with its body and lungs."""
    hu = chest((24, 64, 64), noise_hu=0.0)
    return hu[12], body_mask(hu)[12], lung_mask(hu, (5.0, 4.0, 4.0))[12]


def test_bias_is_found_in_its_tissue(slices: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """Lung 12 too high, soft tissue 7 too low, bone 50 too low."""
    clean, body, lungs = slices
    found = clean + np.select([lungs, clean == 40, clean == 400], [12, -7, -50], 0)
    row = measure_tissues(found[None], clean[None], body[None], lungs[None])
    assert row["hu_bias_lung"] == pytest.approx(12) and row["hu_bias_bone"] == pytest.approx(-50)
    assert measure_tissues(found[None], clean[None], body[None] & False, lungs[None])["hu_bias_bone"] is None
    assert row["hu_bias_soft"] == pytest.approx(-7) and row["residual_soft"] == pytest.approx(0, abs=1e-6)


def test_windows_look_at_their_own_range(slices: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """A change of bone is not seen through the lung window; ranges are the windows' widths."""
    clean = slices[0]
    bone = measure_slice(np.where(clean == 400, 300, clean), clean)
    assert bone["psnr_lung"] == float("inf") and bone["ssim_lung"] == pytest.approx(1.0) and bone["psnr"] < 60
    soft = np.where(clean == 40, 100, clean)
    a, b = (np.clip(i.astype(float), -160, 240) for i in (soft, clean))
    assert measure_slice(soft, clean)["psnr_soft"] == pytest.approx(psnr(a, b, 400.0))


def test_values_beyond_the_window_do_not_count(slices: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    clean = slices[0]
    found = np.where(clean == -1000, -3000, clean)
    assert measure_slice(found, clean)["psnr"] == float("inf")


def test_means_leave_out_what_a_slice_has_not() -> None:
    rows = [{"a": 1.0, "b": float("nan"), "c": float("inf")}, {"a": 2.0, "b": 4.0, "c": float("nan")}]
    assert mean_of(rows) == {"a": 1.5, "b": 4.0, "c": None}


def test_spectrum_of_what_is_left() -> None:
    """White noise of 30 HU in water has the power 30² dx dy at every frequency; lung alone has none to show."""
    water = np.full((4, 128, 128), 10.0)
    noise = 30 * np.random.default_rng(0).standard_normal(water.shape)
    found = residual_spectrum(water + noise, water, (0.7, 0.7))
    assert found is not None
    assert found[1] == pytest.approx(np.full(len(found[1]), 900 * 0.49), rel=0.25)
    assert residual_spectrum(water, water - 800, (0.7, 0.7)) is None


def rows() -> list[dict[str, Any]]:
    """Return results of two methods at two noises, one of a dose."""
    figures = {"ssim": 0.9, "noise_hu": 50.0, "slices_measured": 3, "seconds": 1.0, "hu_bias_lung": None}
    return [
        {"volume": "v", "noise": noise, "method": method, "psnr": level, **figures}
        for noise in ("gaussian:50", "low-dose:0.25")
        for method, level in (("noisy", 30.0), ("tv", 38.25))
    ]


def test_tables() -> None:
    """One for each noise, the best starred, no column without a value."""
    text = description_markdown(describe(rows()))
    assert text.count("| method") == 2 and "v, low-dose:0.25: 50 HU of noise, 3 slices" in text
    assert "38.25*" in text and "30.00 " in text and "30.00*" not in text and "bias" not in text


def test_pictures(tmp_path: Path) -> None:
    """Curves, and for each case the slices and the spectra that were kept."""
    hu = np.zeros((3, 32, 32), np.float32)
    for name in ("clean", "noisy", "tv"):
        spectrum = (np.linspace(0.1, 0.7, 9), np.full(9, 400.0)) if name != "clean" else None
        keep_case(tmp_path, "v", "gaussian:50", name, np.arange(3), hu, spectrum)
    paths = draw_denoising(rows(), tmp_path)
    names = [p.relative_to(tmp_path).as_posix() for p in paths]
    case = "cases/v/gaussian-50"
    assert names == ["curves.png", f"{case}/comparison.png", f"{case}/spectra.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_anatomy_in_what_was_removed(slices: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """Noise alone is no anatomy; a tenth of the picture is a tenth of its edges."""
    clean = slices[0].astype(np.float64)
    noise = np.random.default_rng(0).normal(0, 20, clean.shape)
    noisy = clean * 0.7 + noise
    assert abs(measure_residual(noisy, noisy - noise, noisy - noise)["edges_removed"]) < 0.03
    assert measure_residual(noisy, 0.6 * clean, clean)["edges_removed"] == pytest.approx(0.1, abs=0.03)
    assert np.isnan(measure_residual(noisy, noisy, np.full_like(clean, 40))["edges_removed"])
