"""Edges: blur lowers both measures, noise only the correlation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctgrid.base.errors import CtgridError
from ctgrid.metrics import edge_gain, gradient_correlation


@pytest.fixture(scope="module")
def steps() -> np.ndarray:
    """Return a slice with a few steep edges."""
    y, x = np.mgrid[:96, :96]
    return np.where(((x - 40) ** 2 + (y - 50) ** 2 < 500) | (x > 75), 40.0, -850.0)


def test_equal_slices(steps: np.ndarray) -> None:
    assert gradient_correlation(steps, steps) == pytest.approx(1.0)
    assert edge_gain(steps, steps) == pytest.approx(1.0)
    assert edge_gain(steps + 100, steps) == pytest.approx(1.0)
    assert edge_gain(0.5 * steps, steps) == pytest.approx(0.5)
    assert gradient_correlation(0.5 * steps, steps) == pytest.approx(1.0)


def test_blur_and_noise(steps: np.ndarray) -> None:
    blurred = gaussian_filter(steps, 1.5)
    noisy = steps + 60 * np.random.default_rng(0).standard_normal(steps.shape)
    assert edge_gain(blurred, steps) < 0.6 and gradient_correlation(blurred, steps) < 0.9
    assert edge_gain(noisy, steps) == pytest.approx(1.0, abs=0.05) and gradient_correlation(noisy, steps) < 0.9


def test_flat_and_mismatched(steps: np.ndarray) -> None:
    assert np.isnan(edge_gain(steps, np.zeros_like(steps)))
    assert np.isnan(gradient_correlation(steps, np.zeros_like(steps)))
    with pytest.raises(CtgridError, match="one shape"):
        gradient_correlation(steps, steps[1:])
