"""The noise-power spectrum against what is known of white and filtered noise."""

from __future__ import annotations

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.metrics.spectrum import noise_power_spectrum, noise_power_spectrum_2d


def test_white_noise_has_a_flat_spectrum_of_variance_times_pixel_area() -> None:
    noise = 20 * np.random.default_rng(0).standard_normal((40, 64, 48))
    frequency, nps = noise_power_spectrum(noise + 1000, (0.7, 0.8))
    assert frequency[0] == pytest.approx(1 / (0.8 * 48), rel=0.2)
    assert frequency[-1] <= 1 / (2 * 0.8) + 1 / (2 * 0.8 * 48)
    assert np.all(np.diff(frequency) > 0)
    np.testing.assert_allclose(nps, 400 * 0.7 * 0.8, rtol=0.15)
    assert nps.mean() == pytest.approx(400 * 0.7 * 0.8, rel=0.02)


def test_its_integral_is_the_variance() -> None:
    noise = np.random.default_rng(1).standard_normal((3, 16, 24)).cumsum(axis=1)
    nps, fy, fx = noise_power_spectrum_2d(noise, (2.0, 0.5))
    assert nps.sum() * fy[1] * fx[1] == pytest.approx(noise.var(axis=(1, 2)).mean())


def test_a_single_wave_shows_at_its_frequency() -> None:
    x = np.arange(64) * 0.5
    frequency, nps = noise_power_spectrum(np.tile(np.sin(2 * np.pi * 0.25 * x), (64, 1)), 0.5)
    assert frequency[nps.argmax()] == pytest.approx(0.25, abs=1 / 32)


@pytest.mark.parametrize(
    ("images", "spacing", "words"),
    [
        (np.zeros((4, 4)), 1.0, "8 or more"),
        (np.zeros((0, 16, 16)), 1.0, "8 or more"),
        (np.zeros((16, 16)), 0.0, "positive"),
        (np.full((16, 16), np.nan), 1.0, "NaN"),
    ],
)
def test_bad_input_is_refused(images: np.ndarray, spacing: float, words: str) -> None:
    with pytest.raises(CtgridError, match=words):
        noise_power_spectrum(images, spacing)
