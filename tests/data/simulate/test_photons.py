"""From HU to photons and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctgrid.data.simulate.photons import (
    MU_WATER_PER_MM,
    SLICES_AT_ONCE,
    attenuation,
    double_channels,
    noisy_logs,
    to_hu,
    to_slices,
)


def test_attenuation_and_hu_are_an_inverse_pair() -> None:
    """Water is water, air stops nothing, and what is below air does not shine."""
    hu = np.array([-1000, -400, 0, 55, 1000, 3000, -1024], np.int16).reshape(1, 1, 7)
    mu = attenuation(hu)
    assert mu.shape == (1, 7, SLICES_AT_ONCE) and mu[0, 2, 0] == pytest.approx(MU_WATER_PER_MM)
    back = to_hu(to_slices(mu, 1))
    np.testing.assert_allclose(back[..., :-1], hu[..., :-1], atol=1e-3)
    assert back[0, 0, -1] == -1000 and not mu[..., 1:].any()


def test_doubled_channels_keep_a_ramp() -> None:
    """Interpolation is linear, and keeps what a ray adds up to."""
    ramp = torch.arange(6.0).reshape(1, 6, 1)
    doubled = double_channels(ramp)
    assert torch.allclose(doubled[0, 1:-1, 0], torch.arange(0.25, 5.25, 0.5))
    assert doubled.mean() == pytest.approx(float(ramp.mean()))


def test_logs_of_few_counts_are_unbiased() -> None:
    """Their mean is 0 and their spread that of Poisson counts; a slice has its noise whatever stands beside it."""
    mean = torch.full((300, 300, 2), 50.0)
    logs = noisy_logs(mean, 2.0, seed=1, names=[4, 9])
    spread = (1 / 50 + 4 / 50**2) ** 0.5
    assert abs(float(logs.mean())) < 3 * spread / logs.numel() ** 0.5 + 1e-3
    assert float(logs.std()) == pytest.approx(spread, rel=0.03)
    assert torch.equal(noisy_logs(mean[..., :1], 2.0, seed=1, names=[9])[..., 0], logs[..., 1])
