"""Classical filters of one slice: what they keep, what they take, and noise in HU as their one scale."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from ctgrid.methods.denoising.baselines.filters import (
    anisotropic_diffusion,
    bilateral,
    curvature_flow,
    nlm,
    patch_based,
    tv,
    wavelet,
)

WAVELET: dict[str, Any] = {
    "name": "db2",
    "mode": "soft",
    "shrinkage": "BayesShrink",
    "sigma": 1.0,
    "levels": 2,
    "shifts": 1,
}
FILTERS: dict[str, tuple[Callable[..., np.ndarray], dict[str, Any]]] = {
    "bilateral": (bilateral, {"window": 5, "colour": 2.0, "spatial_px": 1.5}),
    "nlm": (nlm, {"patch": 3, "distance": 4, "h": 0.8, "sigma": 1.0}),
    "tv": (tv, {"weight": 1.0, "steps": 20}),
    "wavelet": (wavelet, WAVELET),
    "curvature flow": (curvature_flow, {"time": 3.0}),
    "anisotropic diffusion": (anisotropic_diffusion, {"time": 3.0, "conductance": 3.0}),
    "patch based": (patch_based, {"radius": 1, "samples": 20, "spread_px": 3.0, "bandwidth": 1.0, "iterations": 1}),
}


@pytest.fixture(scope="module")
def noisy() -> np.ndarray:
    """Even tissue beside air, with 50 HU of noise."""
    rng = np.random.default_rng(0)
    plane = np.full((32, 32), 40.0)
    plane[:, :12] = -1000
    return (plane + 50 * rng.standard_normal((32, 32))).astype(np.float32)


@pytest.mark.parametrize("name", FILTERS)
def test_noise_goes_the_mean_and_the_edge_stay(name: str, noisy: np.ndarray) -> None:
    method, settings = FILTERS[name]
    before = noisy.copy()
    found = method(noisy, 50.0, **settings)
    assert found.dtype == np.float32 and found.shape == noisy.shape and np.array_equal(noisy, before)
    inside = (slice(4, 28), slice(18, 28))
    assert found[inside].std() < 0.97 * noisy[inside].std()
    assert found[inside].mean() == pytest.approx(noisy[inside].mean(), abs=6)
    assert found[4:28, 20:28].mean() - found[4:28, 2:8].mean() > 950


@pytest.mark.parametrize("name", [name for name in FILTERS if name not in ("patch based", "wavelet")])
def test_a_flat_slice_stays_flat(name: str) -> None:
    method, settings = FILTERS[name]
    np.testing.assert_allclose(method(np.full((16, 16), -700, np.float32), 30.0, **settings), -700, atol=0.5)


@pytest.mark.parametrize("name", ["bilateral", "nlm", "tv"])
def test_twice_the_noise_of_twice_the_values_is_twice_the_result(name: str, noisy: np.ndarray) -> None:
    """All thresholds are multiples of the noise, so one setting serves every level."""
    method, settings = FILTERS[name]
    once, twice = method(noisy, 50.0, **settings), method(2 * noisy, 100.0, **settings)
    np.testing.assert_allclose(twice, 2 * once, atol=0.01 * np.ptp(noisy))


def test_wavelets_are_averaged_over_shifts(noisy: np.ndarray) -> None:
    """By hand: roll, shrink without shifts, roll back, mean over all of them."""
    plain = {**WAVELET, "shifts": 0}
    parts = [
        np.roll(wavelet(np.roll(noisy, shift, (0, 1)), 50.0, **plain), (-shift[0], -shift[1]), (0, 1))
        for shift in product(range(3), repeat=2)
    ]
    np.testing.assert_allclose(wavelet(noisy, 50.0, **{**WAVELET, "shifts": 2}), np.mean(parts, 0), atol=1e-2)


def test_small_slices_have_fewer_levels(noisy: np.ndarray) -> None:
    for levels in (9, None):
        assert np.isfinite(wavelet(noisy[:8, :8], 50.0, **{**WAVELET, "levels": levels, "shifts": 0})).all()


def test_flows_take_time_in_proportion_to_the_noise(noisy: np.ndarray) -> None:
    """At least one step; twice the noise is twice the steps."""
    one, same = (curvature_flow(noisy, noise, time=0.125) for noise in (1.0, 100.0))
    np.testing.assert_array_equal(one, same)
    longer, double = curvature_flow(noisy, 100.0, time=1.0), curvature_flow(noisy, 200.0, time=0.5)
    np.testing.assert_array_equal(longer, double)
    assert longer[4:28, 18:28].std() < one[4:28, 18:28].std()
