"""The classical filters: they remove noise, keep the grid, and leave padding alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ctgrid import CtgridError, Volume, denoise
from ctgrid.methods.denoising.baselines.classical import CLASSICAL
from ctgrid.methods.denoising.baselines.tuned import TUNED
from ctgrid.methods.denoising.methods import METHODS, load_method

QUICK = [name for name in CLASSICAL if name != "patch-based"]


@pytest.fixture(scope="module")
def pair(chest: Callable[..., np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return two clean slices of 64 x 64, and the same with 60 HU of noise."""
    clean = chest((12, 64, 64), noise_hu=0.0)[5:7].astype(np.float32)
    noise = np.random.default_rng(1).standard_normal(clean.shape)
    return clean, (clean + 60 * noise).astype(np.float32)


def error(a: np.ndarray, b: np.ndarray) -> float:
    """Return the root mean square difference away from edges, which some filters round off."""
    from scipy.ndimage import maximum_filter, minimum_filter

    flat = maximum_filter(b, (1, 5, 5)) == minimum_filter(b, (1, 5, 5))
    assert flat.mean() > 0.5
    return float(np.sqrt(np.mean((a.astype(float) - b)[flat] ** 2)))


@pytest.mark.parametrize("name", CLASSICAL)
def test_noise_is_removed(name: str, pair: tuple[np.ndarray, np.ndarray], oblique_affine: np.ndarray) -> None:
    """More than a third of it, on the same grid, in the same dtype."""
    clean, noisy = (hu[:1] if name == "patch-based" else hu for hu in pair)  # which takes seconds a slice
    result = load_method(name).run(Volume(noisy, oblique_affine), 60.0)
    share = {"patch-based": 0.9}.get(name, 0.65)
    assert error(result.volume.hu, clean) < share * error(noisy, clean)
    assert result.volume.hu.dtype == np.float32 and np.array_equal(result.volume.affine, oblique_affine)
    assert result.noise_hu == 60.0 and result.settings["method"] == name


@pytest.mark.parametrize("name", QUICK)
def test_slices_are_independent_and_the_input_is_untouched(
    name: str, pair: tuple[np.ndarray, np.ndarray], oblique_affine: np.ndarray
) -> None:
    """A slice's result does not depend on its neighbours."""
    noisy = pair[1]
    before = noisy.copy()
    both = CLASSICAL[name].run(Volume(noisy, oblique_affine), 60.0).volume.hu
    alone = CLASSICAL[name].run(Volume(noisy[1:], oblique_affine), 60.0).volume.hu
    assert np.array_equal(both[1:], alone) and np.array_equal(noisy, before)


@pytest.mark.parametrize("name", QUICK)
def test_the_strength_scales(name: str, pair: tuple[np.ndarray, np.ndarray], oblique_affine: np.ndarray) -> None:
    """More assumed noise smooths more."""
    scan = Volume(pair[1], oblique_affine)
    rough = [np.abs(np.diff(CLASSICAL[name].run(scan, s).volume.hu, axis=-1)).mean() for s in (15.0, 60.0)]
    assert rough[1] < rough[0]


@pytest.mark.parametrize("name", QUICK)
def test_padding_comes_back_and_metal_stays_bright(
    name: str, pair: tuple[np.ndarray, np.ndarray], oblique_affine: np.ndarray
) -> None:
    """What a scanner fills in outside the field of view is no tissue; bright values are not clipped."""
    hu = np.rint(pair[1]).astype(np.int16)
    hu[:, :, :6] = -2048
    hu[:, 28:36, 28:36] = 2800
    found = CLASSICAL[name].run(Volume(hu, oblique_affine), 60.0).volume.hu
    assert found.dtype == np.int16
    assert (found[:, :, :6] == -2048).all()
    assert found[:, 31:33, 31:33].min() > 2300
    assert found[:, :, 8:].min() > -1500  # the padding does not bleed in


def test_no_noise_is_no_change(chest_volume: Volume) -> None:
    """A strength of 0 returns the values; "auto" finds the noise; nonsense is refused."""
    method = CLASSICAL["tv"]
    assert np.array_equal(method.run(chest_volume, 0.0).volume.hu, chest_volume.hu)
    for bad in (-1.0, float("nan"), float("inf"), "strong"):
        with pytest.raises(CtgridError, match="strength must be"):
            method.run(chest_volume, bad)  # type: ignore[arg-type]


def test_auto_estimates(chest: Callable[..., np.ndarray], oblique_affine: np.ndarray) -> None:
    """The estimate is what the filter is told."""
    scan = Volume(chest((6, 128, 128), noise_hu=40.0), oblique_affine)
    assert CLASSICAL["tv"].run(scan).noise_hu == pytest.approx(40.0, rel=0.15)


def test_parameters_are_those_of_the_nearest_noise() -> None:
    """By ratio: 141 is nearer to 100 than to 200, 142 is not."""
    nlm = CLASSICAL["nlm"]
    assert nlm.parameters(141.0) == TUNED["nlm"][100.0] and nlm.parameters(142.0) == TUNED["nlm"][200.0]
    assert nlm.parameters(1.0) == TUNED["nlm"][50.0] and nlm.parameters(3000.0) == TUNED["nlm"][400.0]
    assert set(TUNED) == {method.name for method in METHODS.values() if method.classical}


def test_one_call(pair: tuple[np.ndarray, np.ndarray], oblique_affine: np.ndarray) -> None:
    """``ctgrid.denoise`` by method and strength; progress is told, settings are recorded."""
    seen: list[tuple[str, int, int]] = []
    scan = Volume(pair[1], oblique_affine)
    found = denoise(scan, method="tv", strength=60, progress=lambda *step: seen.append(step))
    assert np.array_equal(found.hu, CLASSICAL["tv"].run(scan, 60.0).volume.hu)
    assert found.record["denoising"]["noise_hu"] == 60 and seen[-1] == ("tv", 2, 2)
    with pytest.raises(CtgridError, match=r"unknown denoising method 'bm3d'; known: grid, .*nlm"):
        denoise(scan, method="bm3d")
    with pytest.raises(CtgridError, match="no setting seed"):
        denoise(scan, method="tv", seed=3)
