"""Visual information fidelity: what it is known for, and the values of another implementation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctgrid.base.errors import CtgridError
from ctgrid.metrics import vif


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    """A smooth picture of 0 to 255 levels."""
    image = gaussian_filter(np.random.default_rng(0).standard_normal((96, 128)), 2)
    return np.asarray((image - image.min()) / np.ptp(image) * 255)


def test_more_contrast_is_more_and_everything_else_less(clean: np.ndarray) -> None:
    """As its authors have it (Sheikh & Bovik 2006, section V): 1 for the reference itself, above it when enhanced."""
    random = np.random.default_rng(1)
    noisy = [vif(clean + sigma * random.standard_normal(clean.shape), clean, 255.0) for sigma in (2, 5, 20)]
    blurred = [vif(gaussian_filter(clean, sigma), clean, 255.0) for sigma in (0.5, 1.0, 2.0)]
    assert vif(clean, clean, 255.0) == pytest.approx(1) and vif(clean + 30, clean, 255.0) == pytest.approx(1)
    assert 1 > noisy[0] > noisy[1] > noisy[2] > 0 and 1 > blurred[0] > blurred[1] > blurred[2] > 0
    assert vif(128 + 1.2 * (clean - 128), clean, 255.0) > 1
    assert vif(np.full_like(clean, 128), clean, 255.0) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("change", "value"), [("noise", 0.4623734492), ("blur", 0.5277495957), ("gain", 1.0631576461)])
def test_values_of_another_implementation(change: str, value: float) -> None:
    """Those of ``vifp`` in the package sewar 0.4.10, for the same pictures."""
    random = np.random.default_rng(0)
    b = gaussian_filter(random.standard_normal((96, 128)), 2) * 400
    b = (b - b.min()) / np.ptp(b) * 255
    noise = random.standard_normal(b.shape)
    a = {"noise": b + 10 * noise, "blur": gaussian_filter(b, 1.5), "gain": (b - 128) * 1.2 + 128}[change]
    assert vif(a, b, 255.0) == pytest.approx(value, abs=1e-6)
    assert vif(np.stack([a, b]) * 8, np.stack([b, b]) * 8, 2040.0) == pytest.approx((value + 1) / 2, abs=1e-6)


def test_small_and_even_slices() -> None:
    assert np.isnan(vif(np.ones((41, 41)), np.ones((41, 41)), 1.0))
    with pytest.raises(CtgridError, match="VIF needs slices of 41 pixels"):
        vif(np.ones((40, 64)), np.ones((40, 64)), 1.0)
    with pytest.raises(CtgridError, match="must have one shape"):
        vif(np.ones((41, 64)), np.ones((42, 64)), 1.0)
