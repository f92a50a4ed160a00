"""Power by spatial frequency in rings, and the share of a part of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctgrid.data.noise_spectra import BINS, frequencies, in_rings, power_of, rings, share_of, white


def test_white_noise_has_as_much_at_every_frequency() -> None:
    noise = np.random.default_rng(0).normal(0, 20, (8, 128, 128))
    found = power_of(noise)
    assert float(found.sum()) == pytest.approx(1, abs=1e-5) and float(white().sum()) == pytest.approx(1, abs=1e-5)
    assert float((found.cumsum(0) - white().cumsum(0)).abs().max()) < 0.02


def test_a_wave_is_in_the_ring_of_its_frequency() -> None:
    """A quarter of a cycle a pixel is 0.5 / mm where pixels are of half a millimetre."""
    wave = np.cos(2 * np.pi * 0.25 * np.arange(64))[:, None] * np.ones(64)
    power = in_rings(np.square(np.abs(np.fft.fft2(wave))))
    assert int(power.argmax()) == rings(64)[16, 0] and float(power.max()) == pytest.approx(1)
    width = float(frequencies((0.5, 0.5))[1] - frequencies((0.5, 0.5))[0])
    assert float(frequencies((0.5, 0.5))[power.argmax()]) == pytest.approx(0.5, abs=width)


def test_the_share_of_a_part() -> None:
    """Of two kinds of one spectrum, that of the variances; where only one has power, all or nothing."""
    alike = share_of(white() * 7, 30.0, white(), 40.0)
    assert torch.allclose(alike, torch.full((BINS,), 0.36), atol=1e-4)
    low, high = torch.zeros(BINS), torch.zeros(BINS)
    low[:10], high[10:20] = 0.1, 0.1
    apart = share_of(low, 5.0, high, 50.0)
    assert torch.equal(apart[:10], torch.ones(10)) and not apart[10:].any()
