"""The noise estimate: near the truth on smooth synthetic chests and on a real scan with noise added."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctgrid.data.simulate import phantom
from ctgrid.scan.noise import estimate_noise, estimate_noise_per_slice, smoothed, summary_of, survey_noise
from ctgrid.scan.volume import Volume


def one_slice(hu: np.ndarray) -> float | None:
    """Return the estimate of a slice by itself, None where it cannot tell."""
    found = estimate_noise_per_slice(Volume(hu[None].astype(np.float32), np.eye(4)))[0]
    return None if np.isnan(found) else float(found)


@pytest.mark.parametrize("sigma", [20, 50, 100, 200])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_noise_of_a_synthetic_chest(sigma: float, dtype: type[np.generic], chest: Callable[..., np.ndarray]) -> None:
    """Within 15 %, whole numbers or not, with values clipped below -1024 as scanners store them."""
    clean = chest((5, 160, 200), noise_hu=0.0).astype(np.float64)
    noisy = clean + sigma * np.random.default_rng(1).standard_normal(clean.shape)
    hu = np.clip(noisy, -1024, 3071)
    hu = np.rint(hu).astype(dtype) if dtype is np.int16 else hu.astype(dtype)
    assert estimate_noise(Volume(hu, np.eye(4))) == pytest.approx(sigma, rel=0.15)


def test_edges_are_not_taken_for_noise(chest: Callable[..., np.ndarray]) -> None:
    """A clean chest with sharp borders has next to none."""
    assert estimate_noise(Volume(chest((5, 160, 200), noise_hu=0.0), np.eye(4))) < 2


def test_anatomy_is_not_taken_for_noise_where_there_is_hardly_any() -> None:
    """A phantom's organs are uneven by some HU and it has no noise: the quietest patches tell, of every slice."""
    clean = phantom(3, (24, 256, 256), (6.0, 1.4, 1.4))
    assert estimate_noise(clean) < 3 and np.nanmedian(estimate_noise_per_slice(clean)) < 3
    noise = gaussian_filter(np.random.default_rng(4).standard_normal(clean.hu.shape), (0, 1, 1))
    noise *= 8 / noise.std()
    noisy = Volume((clean.hu + noise).round().astype(np.int16), clean.affine)
    assert estimate_noise(noisy) == pytest.approx(8, rel=0.25)


@pytest.mark.parametrize(("sigma", "blur"), [(50, 0.0), (100, 0.0), (50, 0.7)])
def test_noise_added_to_a_real_scan(sigma: float, blur: float, rider: Volume) -> None:
    """Within 15 % of the scan's own noise and the added one together, also where smoothing made its grain coarse."""
    hu = rider.hu[:: max(1, len(rider.hu) // 6)].astype(np.float32)
    own = estimate_noise(Volume(hu, rider.affine))
    grain = gaussian_filter(np.random.default_rng(2).standard_normal(hu.shape, dtype=np.float32), (0, blur, blur))
    noisy = hu + np.float32(sigma) * grain / grain.std()
    assert estimate_noise(Volume(noisy, rider.affine)) == pytest.approx(np.hypot(own, sigma), rel=0.15)


def test_slices_without_soft_tissue_do_not_count() -> None:
    """Air above the shoulders says nothing; a volume of nothing else gives 0."""
    random = np.random.default_rng(3)
    air = (-1000 + 300 * random.standard_normal((4, 64, 64))).astype(np.float32)
    tissue = (40 + 30 * random.standard_normal((5, 64, 64))).astype(np.float32)
    assert one_slice(tissue[0]) == pytest.approx(30, rel=0.15)
    assert one_slice(np.full((64, 64), -1000.0)) is None
    mixed = np.concatenate([np.full_like(air, -1000.0), tissue])
    assert estimate_noise(Volume(mixed, np.eye(4))) == pytest.approx(30, rel=0.1)
    assert estimate_noise(Volume(np.full_like(air, -1000.0), np.eye(4))) == 0.0


def test_noise_per_slice(chest: Callable[..., np.ndarray]) -> None:
    """Each within 15 % of its own; slices that cannot tell are NaN and do not count in the summary."""
    hu = chest((4, 160, 200), noise_hu=0.0).astype(np.float32)
    sigmas = np.array([20.0, 50.0, 100.0, 200.0])
    hu += sigmas[:, None, None] * np.random.default_rng(5).standard_normal(hu.shape).astype(np.float32)
    hu = np.concatenate([hu, np.full((1, 160, 200), -1000, np.float32)])
    per_slice = estimate_noise_per_slice(Volume(hu, np.eye(4)))
    assert per_slice.shape == (5,) and np.isnan(per_slice[4])
    assert per_slice[:4] == pytest.approx(sigmas, rel=0.15)
    summary = summary_of(per_slice)
    assert (summary["slices"], summary["told"]) == (5, 4)
    assert summary["lowest"] == pytest.approx(20, rel=0.15) and summary["highest"] == pytest.approx(200, rel=0.15)
    assert summary["values"][:4] == pytest.approx(per_slice[:4], abs=0.05) and summary["values"][4] is None
    assert summary_of(np.array([np.nan])) == {"slices": 1, "told": 0, "values": [None]}


def test_slices_are_denoised_by_a_running_median_of_their_noise() -> None:
    """One odd slice says nothing, one that cannot tell takes the volume's; half and four times are the limits."""
    found = np.array([20, 20, 20, 90, 20, 20, np.nan, 20, 40, 40, 40, 40, 90, 90, 200, 200, 200, 200.0])
    assert smoothed(found, 40.0).tolist() == [20] * 7 + [40] * 5 + [90, 90, 160, 160, 160, 160]
    assert smoothed(np.full(3, np.nan), 40.0).tolist() == [40.0] * 3


def test_small_slices_count_together(chest: Callable[..., np.ndarray]) -> None:
    """No slice of 64 x 64 says enough by itself; twelve do, roughly: so few pixels are mostly edges."""
    volume = Volume(chest((12, 64, 64), noise_hu=60), np.eye(4))
    assert one_slice(volume.hu[5]) is None
    assert estimate_noise(volume) == pytest.approx(60, rel=0.3)


def test_slices_between_those_looked_at_are_interpolated() -> None:
    """Sixty thin slices whose noise grows steadily, louder on the right: all of them are right, and so are maps."""
    random = np.random.default_rng(7)
    sigmas, across = np.linspace(20, 60, 60), np.linspace(0.6, 1.4, 128)
    hu = 40 + sigmas[:, None, None] * across * random.standard_normal((60, 128, 128))
    volume = Volume(hu.astype(np.float32), np.diag([1.5, 1.5, 1.0, 1.0]))
    survey = survey_noise(volume)
    assert survey.per_slice / np.sqrt(np.square(across).mean()) == pytest.approx(sigmas, rel=0.15)
    assert survey.maps.shape[0] == 60 and np.square(survey.maps).mean((1, 2)) == pytest.approx(np.ones(60), rel=0.1)
    assert survey.maps[:, :, -1].mean() > 1.4 * survey.maps[:, :, 0].mean()
    none = survey_noise(Volume(np.full((3, 64, 64), -1000, np.int16), np.eye(4)))
    assert np.isnan(none.per_slice).all() and none.maps.shape == (3, 1, 1)
