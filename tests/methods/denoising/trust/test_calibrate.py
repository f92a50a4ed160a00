"""Calibration as a whole: noise of many kinds is added, an answer of known error given, and that error comes out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctgrid.base.errors import CtgridError
from ctgrid.methods.denoising.trust import calibrate as module
from ctgrid.methods.denoising.trust import fit as fitter
from ctgrid.methods.denoising.trust.calibrate import CLEAN_HU, answers, calibrate
from ctgrid.methods.denoising.trust.signs import signs_of
from ctgrid.scan.volume import Volume

AFFINE = np.diag([-4.0, -4.0, 2.5, 1.0])


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make smooth noise without projections, and draw few voxels."""

    def low_dose(volume: Volume, dose: float, seed: int, **settings: object) -> Volume:
        noise = gaussian_filter(np.random.default_rng(seed).standard_normal(volume.shape), (0, 1, 1))
        return Volume((volume.hu + noise).astype(np.float32), volume.affine)

    monkeypatch.setattr(module, "low_dose", low_dose)
    monkeypatch.setattr(module, "EACH", 100)
    monkeypatch.setattr(fitter, "ROUNDS", 25)


@pytest.fixture
def scan(chest: Callable[..., np.ndarray]) -> Volume:
    return Volume(chest((4, 64, 64), noise_hu=5), AFFINE)


def a_third(scan: Volume) -> Callable[[Volume, list[int]], Volume]:
    """Return a method that knows the clean scan and leaves a third of the noise."""

    def denoise(volume: Volume, only: list[int]) -> Volume:
        hu = volume.hu.copy()
        for i in only:
            best = min(scan.hu, key=lambda plane: float(np.abs(plane - hu[i].astype(np.float32)).mean()))
            hu[i] = np.rint(best + (hu[i] - best) / 3)
        return Volume(hu, volume.affine)

    return denoise


def test_the_error_of_a_method_comes_out(scan: Volume) -> None:
    """A third of the noise is a half of what is removed; about as many voxels as should lie within two of it."""
    table = calibrate([("a", lambda: scan)], a_third(scan), slices=2)
    assert table.about["scans_noise_hu"]["a"] == pytest.approx(5, abs=2.5) and table.about["clean_hu"] == CLEAN_HU
    within = dict(table.about["within_two"])
    assert within.pop("air") > 0.925  # never too little, but for what lies below -1000 HU often too much
    assert all(share == pytest.approx(0.955, abs=0.03) for share in within.values())
    rng = np.random.default_rng(2)
    for level in (20, 60):
        noise = level * rng.standard_normal((64, 64))
        signs = signs_of(scan.hu[2] + noise, scan.hu[2] + noise / 3, (4.0, 4.0))
        sigma = table.sigma(signs.hu, signs.values)
        assert np.median(sigma[scan.hu[2] > 0]) == pytest.approx(level / 3, rel=0.25)


def test_scans_that_cannot_be_read_are_left_out_where_that_is_asked(scan: Volume) -> None:
    def fails() -> Volume:
        raise CtgridError("no image")

    with pytest.raises(CtgridError, match="no image"):
        calibrate([("bad", fails)], a_third(scan))
    left: dict[str, str] = {}
    with pytest.raises(CtgridError, match="no scan showed enough"):
        calibrate([("bad", fails)], a_third(scan), left_out=left)
    assert left == {"bad": "no image"}


def test_padding_gets_no_noise(chest: Callable[..., np.ndarray]) -> None:
    hu = chest((3, 64, 64), noise_hu=3)
    hu[:, :8, :8] = hu[:, -8:, -8:] = -2000

    def halved(volume: Volume, only: list[int]) -> Volume:
        return Volume(np.where(volume.hu > -1500, volume.hu // 2, volume.hu), volume.affine)

    one = next(answers(Volume(hu, AFFINE), halved, 0, 1, 0))
    assert (one.scan_hu[:8, :8] == -2000).all() and (one.scan_hu != hu[1]).mean() > 0.9


def test_noisy_scans_are_brought_to_the_noise_of_a_clean_one(chest: Callable[..., np.ndarray]) -> None:
    """What is called clean keeps its anatomy, and a share of its noise."""
    noisy = Volume(chest((3, 64, 64), noise_hu=30), AFFINE)
    quiet = Volume(chest((3, 64, 64), noise_hu=0), AFFINE)

    def knows(volume: Volume, only: list[int]) -> Volume:
        hu = volume.hu.copy()
        hu[only] = quiet.hu[only]
        return Volume(hu, volume.affine)

    one = next(answers(noisy, knows, 0, 1, 0))
    soft = quiet.hu[1] == 40
    assert (one.clean_hu - quiet.hu[1])[soft].std() == pytest.approx(CLEAN_HU, rel=0.2)
    assert (one.scan_hu - one.clean_hu)[soft].std() == pytest.approx(13, rel=0.2)
