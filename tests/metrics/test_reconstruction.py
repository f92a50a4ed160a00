"""PSNR and SSIM against their definitions."""

import numpy as np
import pytest

from ctgrid.errors import CtgridError
from ctgrid.metrics import psnr, ssim


def test_psnr_is_its_definition() -> None:
    a, b = np.zeros((4, 8, 8)), np.full((4, 8, 8), 20.0)
    assert psnr(a, b, 2000.0) == pytest.approx(40.0)


def test_ssim_is_one_only_for_equal_images() -> None:
    generator = np.random.default_rng(0)
    image = generator.normal(size=(3, 32, 32)) * 100
    assert ssim(image, image, 2000.0) == pytest.approx(1.0)
    assert ssim(image, image[::-1], 2000.0) < 0.9


def test_ssim_of_slices_is_the_mean_of_each() -> None:
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=(2, 3, 32, 32)) * 300
    alone = [ssim(x, y, 2000.0) for x, y in zip(a, b, strict=True)]
    assert ssim(a, b, 2000.0) == pytest.approx(np.mean(alone))


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_shapes_and_range_are_checked(measure) -> None:
    image = np.zeros((16, 16))
    with pytest.raises(CtgridError, match="one shape"):
        measure(image, image[:8], 2000.0)
    with pytest.raises(CtgridError, match="positive"):
        measure(image, image, 0.0)
