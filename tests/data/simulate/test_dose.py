"""Low doses: how strong their noise is, where, of what grain, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest

from ctgrid import Volume
from ctgrid.base.errors import CtgridError
from ctgrid.data.simulate import low_dose
from ctgrid.data.simulate.phantom import phantom_slice
from ctgrid.metrics.spectrum import noise_power_spectrum, noise_power_spectrum_2d

SPACING = (2.0, 1.6, 1.6)


def cylinder(slices: int = 16, side: int = 128, radius_mm: float = 90.0) -> Volume:
    """Water, with a rod of lung and one of bone, in air."""
    c = (np.arange(side) - (side - 1) / 2) * SPACING[1]
    y, x = c[:, None], c[None, :]
    plane = np.where(x**2 + y**2 < radius_mm**2, 0.0, -1000.0)
    plane[(x - 50) ** 2 + y**2 < 15**2] = -850
    plane[(x + 50) ** 2 + y**2 < 12**2] = 500
    return Volume(np.repeat(plane[None].astype(np.float32), slices, 0), np.diag([-1.6, -1.6, 2.0, 1.0]))


@pytest.fixture(scope="module")
def water() -> Volume:
    return cylinder()


@pytest.fixture(scope="module")
def noises(water: Volume) -> dict[float, np.ndarray]:
    return {dose: low_dose(water, dose, photons=2e5, electronic_noise=0.0).hu - water.hu for dose in (0.5, 0.25, 0.1)}


def test_variance_goes_as_the_inverse_of_the_dose(noises: dict[float, np.ndarray]) -> None:
    variances = {dose: float(noise[:, 54:74, 54:74].var()) for dose, noise in noises.items()}
    for dose, variance in variances.items():
        assert variance / variances[0.5] == pytest.approx(1 / dose - 1, rel=0.12)


@pytest.mark.parametrize("geometry", ["fan", "parallel"])
def test_noise_is_independent_of_how_the_scanner_samples(water: Volume, geometry: str) -> None:
    noise = low_dose(water, 0.5, seed=3, photons=2e5, geometry=geometry).hu - water.hu  # type: ignore[arg-type]
    assert noise[:, 54:74, 54:74].std() == pytest.approx(2.1, rel=0.1)


def test_spectrum_rises_like_a_ramp_and_falls_with_the_kernel(noises: dict[float, np.ndarray]) -> None:
    frequency, nps = noise_power_spectrum(noises[0.25][:, 40:88, 40:88], SPACING[1])
    peak = int(nps.argmax())
    assert 0.08 < frequency[peak] < 0.2  # Nyquist: 0.3125 per mm
    assert nps[0] < 0.35 * nps[peak] and nps[-1] < 0.1 * nps[peak]
    low = frequency < 0.06
    ramp = nps[low] / frequency[low]
    assert ramp.std() / ramp.mean() < 0.25  # proportional to the frequency


def test_means_stay(noises: dict[float, np.ndarray], water: Volume) -> None:
    for level in (0, -850, 500):
        inside = water.hu == level
        assert abs(float(noises[0.25][inside].mean())) < 0.5


def test_noise_is_strongest_in_the_middle(noises: dict[float, np.ndarray]) -> None:
    noise = noises[0.25]
    assert noise[:, 56:72, 56:72].std() > 1.25 * noise[:, 60:68, :12].std()


def test_slices_are_independent_and_named_by_seed_and_index(water: Volume, noises: dict[float, np.ndarray]) -> None:
    noise = noises[0.25]
    centre = noise[:, 44:84, 44:84].reshape(16, -1)
    correlation = np.corrcoef(centre)[np.triu_indices(16, 1)]
    assert np.abs(correlation).max() < 0.2
    few = Volume(water.hu[:3], water.affine)
    alone = low_dose(few, 0.25, photons=2e5, electronic_noise=0.0).hu - few.hu
    np.testing.assert_allclose(alone, noise[:3], atol=2e-3)
    some = low_dose(water, 0.25, photons=2e5, electronic_noise=0.0, indices=[2, -1]).hu - water.hu
    np.testing.assert_allclose(some[[2, 15]], noise[[2, 15]], atol=2e-3)
    assert not some[[0, 1, *range(3, 15)]].any()
    assert np.array_equal(low_dose(few, 0.25, seed=1).hu, low_dose(few, 0.25, seed=1).hu)
    assert not np.allclose(low_dose(few, 0.25, seed=1).hu, low_dose(few, 0.25, seed=2).hu)


def test_streaks_run_between_the_shoulders() -> None:
    shape, size = (300, 160, 160), (1.0, 2.5, 2.5)
    shoulders = phantom_slice(2, 244, shape, size, 0.0)
    assert (shoulders > 20).sum(1).max() * size[2] > 220  # wide, and little lung
    scan = Volume(np.repeat(shoulders[None], 16, 0), np.diag([-2.5, -2.5, 1.0, 1.0]))
    noise = low_dose(scan, 0.25, photons=2e5).hu.astype(np.float32) - scan.hu
    nps, fy, fx = noise_power_spectrum_2d(noise[:, 56:104, 56:104], 2.5)
    waves_along_y = nps[(np.abs(fy) > 0.03) & (np.abs(fy) < 0.15)][:, np.abs(fx) < 0.02].mean()
    waves_along_x = nps[np.abs(fy) < 0.02][:, (np.abs(fx) > 0.03) & (np.abs(fx) < 0.15)].mean()
    assert waves_along_y > 3 * waves_along_x  # streaks from left to right vary along y


def test_dose_one_is_the_scan_itself(chest_volume: Volume) -> None:
    same = low_dose(chest_volume, 1.0)
    assert np.array_equal(same.hu, chest_volume.hu) and same.hu.dtype == chest_volume.hu.dtype
    np.testing.assert_array_equal(same.affine, chest_volume.affine)


def test_grid_dtype_and_padding_stay(oblique_affine: np.ndarray) -> None:
    hu = cylinder(3, 48, 30.0).hu.astype(np.int16)
    hu[:, :8] = -2000
    for array in (hu, np.ascontiguousarray(hu.transpose(0, 2, 1))):
        scan = Volume(array, oblique_affine)
        result = low_dose(scan, 0.2)
        assert result.hu.dtype == np.int16 and result.shape == scan.shape
        np.testing.assert_array_equal(result.affine, scan.affine)
        assert np.array_equal(result.hu == -2000, array == -2000)
        assert not np.array_equal(result.hu, array)
        assert result.record["low_dose"]["dose"] == 0.2


def test_orientation_does_not_matter() -> None:
    scan = cylinder(4, 40, 25.0)
    turned = scan.reoriented("IRP")
    expected = low_dose(scan, 0.3).reoriented("IRP")
    np.testing.assert_array_equal(low_dose(turned, 0.3).hu, expected.hu)


def test_full_reconstruction_keeps_the_levels(water: Volume) -> None:
    few = Volume(water.hu[:2], water.affine)
    result = low_dose(few, 0.5, photons=2e6, mode="full")
    for level in (0, -850, 500):
        core = np.isclose(few.hu, level)
        core[:, 1:-1, 1:-1] &= core[:, 2:, 1:-1] & core[:, :-2, 1:-1] & core[:, 1:-1, 2:] & core[:, 1:-1, :-2]
        assert np.median(result.hu[core]) == pytest.approx(level, abs=12)


def test_noise_doubles_at_a_quarter_of_the_dose(water: Volume) -> None:
    scan = low_dose(water, 0.01, seed=8, photons=2e5)
    assert not scan.record["low_dose"]["calibrated"]
    lower = low_dose(scan, 0.25, seed=9)
    settings = lower.record["low_dose"]
    assert settings["calibrated"]
    ratio = (lower.hu - water.hu)[:, 40:88, 40:88].std() / (scan.hu - water.hu)[:, 40:88, 40:88].std()
    assert ratio == pytest.approx(2.0, rel=0.15)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dose": 0.0}, "dose must be"),
        ({"dose": 1.01}, "dose must be"),
        ({"dose": float("nan")}, "dose must be"),
        ({"geometry": "cone"}, "fan, parallel"),
        ({"mode": "half"}, "insert, full"),
        ({"photons": 0.0}, "photons"),
        ({"photons": float("nan")}, "photons"),
        ({"electronic_noise": -1.0}, "electronic noise"),
        ({"cutoff_per_mm": 0.0}, "cut-off"),
        ({"indices": [0, 1]}, "not all among them"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(CtgridError, match=words):
        low_dose(cylinder(1, 40, 20.0), **settings)


def test_what_is_no_ct_or_too_small_is_refused() -> None:
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    with pytest.raises(CtgridError, match="not a CT"):
        low_dose(Volume(np.full((2, 64, 64), 40, np.int16), affine))
    with pytest.raises(CtgridError, match="32 needed"):
        low_dose(Volume(cylinder(2, 20, 10.0).hu, affine))
