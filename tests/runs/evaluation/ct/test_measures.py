"""All CT measures together: each harm moves its own figures, and real patients lie where real ones should."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.ct import ct_measures, measures
from ctgrid.runs.evaluation.ct.along_z import brightness_noise
from ctgrid.runs.evaluation.ct.measures import measures_of
from ctgrid.runs.evaluation.ct.profile import Profile, profile
from ctgrid.runs.evaluation.samples import Sample, Slices

SPACING = (10.0, 6.0, 6.0)
PROFILES: dict[bytes, Profile] = {}


@pytest.fixture(autouse=True)
def measured_once(coarse_measures: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure a volume that several tests look at once, in a coarse frame, which has tests of its own."""
    monkeypatch.setattr(measures, "profile", profiled)


def profiled(name: str, volume: Slices, *features: Any) -> Profile:
    key = repr((name, volume.spacing_mm)).encode() + volume.hu.tobytes()
    if key not in PROFILES:
        PROFILES[key] = profile(name, volume, *features)
    return PROFILES[key]


def as_hu(values: np.ndarray) -> np.ndarray:
    return np.rint(values.clip(-1000, 1000)).astype(np.int16)


@pytest.fixture(scope="module")
def real(patient: Callable[..., np.ndarray], sample: Callable[..., Sample]) -> list[Sample]:
    return [sample(f"real{seed}", patient(seed, n=36)) for seed in range(4)]


@pytest.fixture
def real_profiles(real: list[Sample]) -> list[Profile]:
    return [profiled(one.name, one.load()) for one in real]


@pytest.fixture
def measured(
    real_profiles: list[Profile], patient: Callable[..., np.ndarray]
) -> Callable[[Callable[[np.ndarray], np.ndarray]], dict[str, Any]]:
    """Return the measures of another patient after some harm."""
    hu = patient(50, n=36)
    return lambda harm: measures_of(real_profiles, [profiled("fake50", Slices(harm(hu), SPACING))])


@pytest.fixture
def other(measured: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Return the measures of that patient, unharmed."""
    return measured(lambda hu: hu)


def distance(result: dict[str, Any], name: str) -> float:
    return float(result["distances"][name]["fake_mean"])


def figure(result: dict[str, Any], name: str) -> float:
    return float(result["summary"][name]["fake"]["mean"])


def test_other_patients_are_as_far_as_real_ones(
    real: list[Sample],
    real_profiles: list[Profile],
    patient: Callable[..., np.ndarray],
    sample: Callable[..., Sample],
) -> None:
    """No further than three times the mean distance of real volumes, in order along z, without a warning."""
    fake = [sample(f"fake{seed}", patient(seed, n=36)) for seed in (50, 51)]
    other = ct_measures(real, fake)
    profiles = [profiled(one.name, one.load()) for one in fake]
    assert other["distances"] == measures_of(real_profiles, profiles)["distances"]
    for name, found in other["distances"].items():
        if not name.endswith("bias_db"):
            assert 0 < found["fake_mean"] < 3 * found["real_mean"], name
        assert len(found["fake_each"]) == 2 and len(found["real_each"]) == 4
    assert figure(other, "z_spearman") > 0.9 and other["warnings"] == []
    assert [row["name"] for row in other["volumes"]["fake"]] == ["fake50", "fake51"]


def test_the_result_is_plain_json(other: dict[str, Any]) -> None:
    assert json.loads(json.dumps(other, allow_nan=False)) == other
    assert other["summary"]["step_hu"]["real"].keys() == {"mean", "sd", "min", "max"}
    curves = other["curves"]
    assert len(curves["lung_mm2"]["real"]) == len(curves["body_mm2"]["fake_sd"]) == 50
    assert len(curves["spectrum_db"]["frequency_per_mm"]) == len(curves["spectrum_db"]["fake"])
    assert curves["step_quantiles_hu"]["real"] == sorted(curves["step_quantiles_hu"]["real"])


def test_noise(measured: Callable[..., dict[str, Any]], other: dict[str, Any]) -> None:
    """Raises steps, flicker, jitter and fine power; leaves order and areas."""
    noisy = measured(lambda hu: as_hu(hu + np.random.default_rng(5).normal(0, 60, hu.shape)))
    assert distance(noisy, "step_wasserstein_hu") > 2 * distance(other, "step_wasserstein_hu")
    assert figure(noisy, "flicker") > figure(other, "flicker") and figure(noisy, "jitter") > figure(other, "jitter")
    fine = "spectrum_fine_bias_db"
    assert noisy["distances"][fine]["value"] > other["distances"][fine]["value"] + 0.5
    assert figure(noisy, "z_spearman") > 0.85
    assert figure(noisy, "body_cm2") == pytest.approx(figure(other, "body_cm2"), rel=0.03)


def test_blur(measured: Callable[..., dict[str, Any]], other: dict[str, Any]) -> None:
    blurred = measured(lambda hu: as_hu(gaussian_filter(hu.astype(float), (0, 1.5, 1.5))))
    assert blurred["distances"]["spectrum_fine_bias_db"]["value"] < -10
    assert distance(blurred, "spectrum_db") > 2 * distance(other, "spectrum_db")


def test_wrong_values(measured: Callable[..., dict[str, Any]], other: dict[str, Any]) -> None:
    """80 HU too bright inside the body."""
    bright = measured(lambda hu: as_hu(np.where(hu > -300, hu + 80.0, hu)))
    for name in ("body_histogram_wasserstein_hu", "body_histogram_js"):
        assert distance(bright, name) > 1.5 * distance(other, name)
    assert distance(bright, "lung_area_mm2") == pytest.approx(distance(other, "lung_area_mm2"), rel=0.2)


def test_order(measured: Callable[..., dict[str, Any]], other: dict[str, Any]) -> None:
    """Upside down keeps every histogram and step, and is seen in the order; shuffled is seen in the steps too."""
    flipped = measured(lambda hu: hu[::-1])
    assert flipped["summary"]["z_spearman"]["fake"]["max"] < -0.9
    assert distance(flipped, "step_wasserstein_hu") == pytest.approx(distance(other, "step_wasserstein_hu"))
    assert distance(flipped, "lung_area_mm2") > 2 * distance(other, "lung_area_mm2")
    mixed = measured(lambda hu: hu[np.random.default_rng(3).permutation(len(hu))])
    assert distance(mixed, "step_wasserstein_hu") > 3 * distance(other, "step_wasserstein_hu")
    assert abs(figure(mixed, "z_spearman")) < 0.5
    assert distance(mixed, "histogram_js") == pytest.approx(distance(other, "histogram_js"))


def test_seams(measured: Callable[..., dict[str, Any]], other: dict[str, Any]) -> None:
    """Grids of 16 that differ by 60 HU in brightness."""
    seamed = measured(lambda hu: as_hu(hu + 60.0 * (hu > -950) * (np.arange(len(hu)) // 16 % 2)[:, None, None]))
    assert figure(seamed, "seam_ratio_grids") > 1.3 * figure(other, "seam_ratio_grids")


def test_flashes(measured: Callable[..., dict[str, Any]], other: dict[str, Any]) -> None:
    """Every slice by another 40 HU too bright or too dark."""
    off = np.random.default_rng(4).normal(0, 40, (36, 1, 1))
    flashing = measured(lambda hu: as_hu(hu + off * (hu > -950)))
    assert figure(flashing, "brightness_noise_hu") == pytest.approx(brightness_noise(off[:, 0, 0]), rel=0.2)
    assert figure(other, "brightness_noise_hu") < 20


def test_warnings(real: list[Sample], sample: Callable[..., Sample], patient: Callable[..., np.ndarray]) -> None:
    """Another spacing, and a single real volume, which has nothing to be compared with."""
    result = ct_measures(real[:1], [sample("fake", patient(9), (5.0, 6.0, 3.0))])
    assert len(result["warnings"]) == 2
    assert "5.00 mm" in result["warnings"][0] and "one real volume" in result["warnings"][1]
    assert result["distances"]["histogram_js"]["real_each"] is None
    assert result["summary"]["z_spearman"]["real"] is None
    assert result["summary"]["z_spearman"]["fake"]["mean"] > 0.5


def test_progress_and_refusals(real: list[Sample], sample: Callable[..., Sample]) -> None:
    told: list[tuple[int, int]] = []
    ct_measures(real[:1], real[1:2], lambda phase, done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
    with pytest.raises(CtgridError, match="at least one fake"):
        ct_measures(real, [])
    with pytest.raises(CtgridError, match=r"flat: .*two slices"):
        ct_measures(real[:1], [sample("flat", np.zeros((1, 32, 32), np.int16))])


def test_volumes_may_have_sizes_of_their_own(
    real: list[Sample], patient: Callable[..., np.ndarray], sample: Callable[..., Sample]
) -> None:
    """The same field of view in other pixels, 333 of which shrink to no whole number."""
    wide = np.kron(patient(1, n=6), np.ones((1, 5, 5), np.int16))
    odd = np.pad(wide, ((0, 0), (6, 7), (6, 7)), constant_values=-1000)
    result = ct_measures([sample("r", patient(1, n=6))], [sample("f", odd, (10.0, 1.2, 1.2))])
    assert odd.shape == (6, 333, 333)
    assert result["distances"]["body_area_mm2"]["value"] < 0.02 * np.mean(result["curves"]["body_mm2"]["real"])
    assert result["distances"]["body_histogram_js"]["value"] < 0.01
