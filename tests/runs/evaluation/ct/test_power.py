"""Power spectra: white noise of known strength, and what blur and noise do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctgrid.runs.evaluation.ct.power import band_bias_db, common_frequencies, log_distance_db, spectrum_db


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 50, (24, 64, 64))


def test_white_noise_keeps_its_power_under_the_window(noise: np.ndarray) -> None:
    frequency, db = spectrum_db(noise, (2.0, 2.0))
    assert np.mean(db) == pytest.approx(10 * np.log10(50**2 * 4), abs=0.15)
    assert frequency[-1] == pytest.approx(0.25, rel=0.02)  # Nyquist


def test_blur_and_noise_have_opposite_signs(noise: np.ndarray) -> None:
    real = [spectrum_db(noise, (2.0, 2.0))]
    blurred = [spectrum_db(gaussian_filter(noise, (0, 1, 1)), (2.0, 2.0))]
    twice = [spectrum_db(2 * noise, (2.0, 2.0))]
    at = common_frequencies([*real, *blurred])
    assert band_bias_db(real, blurred, at, "fine") < -10 < band_bias_db(real, blurred, at, "coarse") < 0
    assert log_distance_db(real, twice, at) == pytest.approx(6.02, abs=0.01)
    assert log_distance_db(real, real, at) == 0


def test_spacings_meet_at_frequencies_that_both_have(noise: np.ndarray) -> None:
    fine, coarse = spectrum_db(noise, (1.0, 1.0)), spectrum_db(noise, (2.0, 2.0))
    at = common_frequencies([fine, coarse])
    assert at[0] == fine[0][0] and at[-1] == coarse[0][-1]
