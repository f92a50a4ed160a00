"""PSNR, SSIM and MS-SSIM: their definitions, and that they cannot be fooled by shapes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.metrics import ms_ssim, psnr, ssim


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Return a picture of 192 x 208 in [0, 2000], and the same with noise of 100."""
    random = np.random.default_rng(3)
    y, x = np.mgrid[:192, :208]
    clean = 1000 + 700 * np.sin(y / 17) * np.cos(x / 23) + 200 * ((x // 16 + y // 16) % 2)
    return clean, clean + 100 * random.standard_normal(clean.shape)


def test_psnr_is_its_definition() -> None:
    a, b = np.zeros((4, 5)), np.full((4, 5), 20.0)
    assert psnr(a, b, 2000.0) == pytest.approx(40.0)
    assert psnr(a, a, 2000.0) == float("inf")


def test_psnr_equals_scikit_images(pair: tuple[np.ndarray, np.ndarray]) -> None:
    from skimage.metrics import peak_signal_noise_ratio

    clean, noisy = pair
    wanted = peak_signal_noise_ratio(clean, noisy, data_range=2000.0)
    assert psnr(noisy, clean, 2000.0) == pytest.approx(wanted, abs=1e-9)
    assert psnr(noisy.astype(np.float32), clean.astype(np.int16), 2000.0) == pytest.approx(wanted, abs=0.01)


def test_ssim_is_one_only_for_equal_images() -> None:
    image = np.random.default_rng(0).uniform(0, 2000, (24, 24))
    assert ssim(image, image, 2000.0) == pytest.approx(1.0)
    assert ssim(image, image[::-1], 2000.0) < 0.9


def test_ssim_has_both_usual_windows(pair: tuple[np.ndarray, np.ndarray]) -> None:
    """The default is scikit-image's; "gaussian" is that of the paper."""
    from skimage.metrics import structural_similarity

    clean, noisy = pair
    assert ssim(noisy, clean, 2000.0) == pytest.approx(structural_similarity(clean, noisy, data_range=2000.0))
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    wanted = structural_similarity(clean, noisy, data_range=2000.0, **settings)
    assert ssim(noisy, clean, 2000.0, window="gaussian") == pytest.approx(wanted)


@pytest.mark.parametrize("measure", [ssim, ms_ssim])
def test_slices_are_averaged(measure: object, pair: tuple[np.ndarray, np.ndarray]) -> None:
    assert callable(measure)
    a, b = np.stack([pair[1], pair[0]]), np.stack([pair[0], pair[0][::-1]])
    alone = [measure(x, y, 2000.0) for x, y in zip(a, b, strict=True)]
    assert measure(a, b, 2000.0) == pytest.approx(np.mean(alone))


def test_ms_ssim_equals_a_plain_computation(pair: tuple[np.ndarray, np.ndarray]) -> None:
    """The slow, obvious way: scikit-image's maps at five scales."""
    from skimage.metrics import structural_similarity

    clean, noisy = pair
    a, b, value = clean, noisy, 1.0
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}
        whole = structural_similarity(a, b, data_range=2000.0, **settings)[1]
        # the same with its luminance term pressed to 1 by a great offset leaves contrast times structure
        parts = whole if scale == 4 else structural_similarity(a + 1e7, b + 1e7, data_range=2000.0, **settings)[1]
        value *= parts[5:-5, 5:-5].mean() ** weight
        if scale < 4:
            a, b = (i.reshape(i.shape[0] // 2, 2, i.shape[1] // 2, 2).mean((1, 3)) for i in (a, b))
    assert ms_ssim(noisy, clean, 2000.0) == pytest.approx(value, abs=2e-3)
    assert ms_ssim(clean, clean, 2000.0) == pytest.approx(1.0)


@pytest.mark.parametrize("measure", [psnr, ssim, ms_ssim])
def test_bad_arguments_are_refused(measure: object) -> None:
    assert callable(measure)
    with pytest.raises(CtgridError, match="one shape"):
        measure(np.zeros((8, 8)), np.zeros((8, 9)), 2000.0)
    fine = np.zeros((8, 8))
    for wrong in (0.0, -1.0, np.inf, np.nan, None, "x", np.ones(2)):
        with pytest.raises(CtgridError, match="data_range"):
            measure(fine, fine, wrong)
    for bad in (fine * 1j, np.full((8, 8), "x"), np.ma.masked_equal(fine, 0), torch.eye(8).to_sparse()):
        with pytest.raises(CtgridError, match="real numbers"):
            measure(bad, fine, 2000.0)
    with pytest.raises(CtgridError, match="image b holds NaN"):
        measure(fine, np.where(np.eye(8) > 0, np.nan, 0), 2000.0)
    with pytest.raises(CtgridError, match="empty"):
        measure(fine[:0], fine[:0], 2000.0)


def test_an_unknown_window_is_refused() -> None:
    with pytest.raises(CtgridError, match="window must be one of uniform, gaussian, got 'Gaussian'"):
        ssim(np.zeros((16, 16)), np.zeros((16, 16)), 2000.0, window="Gaussian")  # type: ignore[arg-type]


def test_tensors_of_any_kind_are_taken(pair: tuple[np.ndarray, np.ndarray]) -> None:
    clean, noisy = (torch.from_numpy(image) for image in pair)
    wanted = psnr(*pair, 2000.0)
    assert psnr(clean.requires_grad_(), noisy, 2000.0) == wanted
    assert psnr(clean.bfloat16(), noisy.bfloat16(), 2000.0) == pytest.approx(wanted, abs=0.1)


def test_small_slices_are_refused() -> None:
    with pytest.raises(CtgridError, match="7 pixels"):
        ssim(np.zeros((6, 9)), np.zeros((6, 9)), 2000.0)
    with pytest.raises(CtgridError, match="176 pixels"):
        ms_ssim(np.zeros((175, 400)), np.zeros((175, 400)), 2000.0)
