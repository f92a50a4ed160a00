"""Regression on patches: it learns detail that belongs to shapes, and stays itself in batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.data.degrade import enlarge
from ctgrid.methods.denoising.baselines.patch_regression import PatchRegression
from ctgrid.scan.grid import downsample


def bars(seed: int, side: int = 64) -> np.ndarray:
    """Return a slice of sharp slanted bars: what is lost in shrinking follows from what is left."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 20)
    return np.where(np.sin((x * np.cos(angle) + y * np.sin(angle) + phase) / 4) > 0, 400, -800).astype(np.int16)


@pytest.fixture(scope="module")
def fitted() -> PatchRegression:
    return PatchRegression.fit([bars(seed) for seed in range(30)], k=2, seed=1)


def test_detail_is_learned(fitted: PatchRegression) -> None:
    """On bars that were not fitted, half the error of bicubic at most."""
    full = torch.from_numpy(np.stack([bars(seed) for seed in (100, 101, 102)]).astype(np.float32) / 1000)[:, None]
    coarse = downsample(full, 2).clamp(-1, 1)
    made, plain = fitted.enlarge(coarse), enlarge(coarse, 2)
    assert made.shape == full.shape and made.abs().max() <= 1
    assert (made - full).square().mean() < 0.5 * (plain - full).square().mean()
    one_by_one = torch.cat([fitted.enlarge(image[None]) for image in coarse])
    assert torch.equal(made, one_by_one)


def test_flat_slices_stay_flat(fitted: PatchRegression) -> None:
    """Nothing is added where there is nothing, at any level: only differences go into the regression."""
    for level in (-1.0, 0.04):
        flat = torch.full((1, 1, 16, 16), level)
        assert torch.allclose(fitted.enlarge(flat), torch.full((1, 1, 32, 32), level), atol=1e-5)


def test_the_same_seed_gives_the_same_weights(fitted: PatchRegression) -> None:
    again = PatchRegression.fit([bars(seed) for seed in range(30)], k=2, seed=1)
    assert torch.equal(again.weights, fitted.weights) and again.patches == fitted.patches == 30 * 32 * 32


def test_it_must_be_fitted_on_something() -> None:
    with pytest.raises(CtgridError, match="training volumes"):
        PatchRegression.fit([], k=4)
