"""Edges of discs: width and TTF of a known blur, in noise, and of inserts of several contrasts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from ctgrid.base.errors import CtgridError
from ctgrid.metrics.edge_response import edge_response

PIXEL_MM, RADIUS_MM = 0.7, 8.0
OFFSETS = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 2)) * PIXEL_MM


def distances() -> np.ndarray:
    """Return the distance of pixels from the edges of discs that lie anywhere between pixels, (20, 41, 41)."""
    at = (np.arange(41) - 20) * PIXEL_MM
    return np.stack([np.hypot(at[:, None] - dy, at - dx) for dy, dx in OFFSETS]) - RADIUS_MM


@pytest.mark.parametrize("sigma_mm", [0.5, 0.8])
def test_width_and_transfer_of_a_gaussian_blur(sigma_mm: float) -> None:
    """10 to 90 % of a Gaussian's edge are 2.563 sigma; exp(-2 (pi sigma f)²) is a half at 0.1874 / sigma."""
    away = distances()
    found = edge_response(away, 200 * ndtr(-away / sigma_mm), 200.0)
    assert found is not None
    assert found.width_mm == pytest.approx(2.563 * sigma_mm, rel=0.05)
    assert found.f50_per_mm == pytest.approx(0.1874 / sigma_mm, rel=0.05)
    assert found.contrast == pytest.approx(1, abs=0.01)


def test_noise_and_contrast() -> None:
    """Noise of a quarter of the contrast changes little; half of the contrast left is not taken for blur."""
    away, rng = distances(), np.random.default_rng(1)
    contrast = np.where(np.arange(20) % 2, 100.0, 200.0)[:, None, None]
    edge = contrast * ndtr(-away / 0.6)
    noisy = edge_response(away, edge + rng.normal(0, 40, away.shape), np.broadcast_to(contrast, away.shape))
    halved = edge_response(away, edge / 2, np.broadcast_to(contrast, away.shape))
    assert noisy is not None and halved is not None
    assert noisy.width_mm == pytest.approx(2.563 * 0.6, rel=0.12)
    assert halved.contrast == pytest.approx(0.5, abs=0.01) and halved.width_mm == pytest.approx(2.563 * 0.6, rel=0.05)


def test_what_cannot_be_measured() -> None:
    away = distances()
    assert edge_response(away[:, :5, :5], np.zeros((20, 5, 5)), 100.0) is None  # far from any edge
    assert edge_response(away, np.zeros_like(away), 100.0) is None  # nothing left
    with pytest.raises(CtgridError, match="one shape"):
        edge_response(away, away[1:], 100.0)
