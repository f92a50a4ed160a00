"""Trust by the clean scan: shares within standard deviations, by tissue, and their picture."""

from __future__ import annotations

import numpy as np
import pytest

from ctgrid.methods.denoising.trust.maps import load_table
from ctgrid.runs.evaluation.trust import EXPECTED, SIGMAS, calibration, measure_trust


def test_shares_are_those_of_normal_noise_where_the_table_is_right(trusting_model) -> None:  # type: ignore[no-untyped-def]
    """Its errors are half of what is removed; tissues that do not occur have none."""
    table, _ = load_table(trusting_model)
    noise = 20 * np.random.default_rng(1).standard_normal((2, 64, 64))
    clean = np.full((2, 64, 64), 40.0)
    clean[:, :, 32:] = -850
    found = measure_trust(table, clean + 1.5 * noise, clean + 0.5 * noise, clean, (0.7, 0.7))
    for tissue in ("soft", "lung"):
        assert [found[f"within_{k}_{tissue}"] for k in SIGMAS] == pytest.approx(EXPECTED, abs=0.03)
    assert found["within_2_bone"] is None


def test_the_picture_has_a_mark_for_each_scan_and_noise() -> None:
    row = {f"within_{k}_soft": share for k, share in zip(SIGMAS, EXPECTED, strict=True)}
    figure = calibration([{"psnr": 3}, row, row])
    assert figure is not None and len(figure.axes[0].lines) == 3 and calibration([{"psnr": 3}]) is None
