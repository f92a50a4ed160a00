"""Small patients that differ from each other, and samples of them that need no file."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctgrid.runs.evaluation.samples import Sample, Slices

SPACING = (10.0, 6.0, 6.0)

Patient = Callable[..., np.ndarray]
MakeSample = Callable[..., Sample]


@pytest.fixture(scope="session")
def patient() -> Patient:
    """Return a maker of chests (n, S, S) int16, ``patient(seed, n=20, side=64, noise_hu=8.0)``.

    The lungs narrow steadily from the feet to the head, and every patient
    has a shape and an inner texture of its own.
    """

    def make(seed: int, n: int = 20, side: int = 64, noise_hu: float = 8.0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        z, y, x = np.meshgrid(np.linspace(0, 1, n), *(np.linspace(-1, 1, side),) * 2, indexing="ij")
        wide, high, apart, large = rng.uniform([0.75, 0.6, 0.34, 0.9], [0.9, 0.75, 0.42, 1.1])
        hu = np.full((n, side, side), -1000.0)
        body = (x / wide) ** 2 + (y / high) ** 2 < 1
        texture = gaussian_filter(rng.standard_normal((n, side, side)), (2, 3, 3))
        hu[body] = (40 + 25 * texture / texture.std())[body]
        width = large * (0.34 - 0.26 * z)
        vessels = gaussian_filter(rng.standard_normal((n, side, side)), (1, 1, 1))
        for sign in (-1, 1):
            lung = ((x - sign * apart) / 0.8) ** 2 + (y / 1.4) ** 2 < width**2
            hu[lung & body] = (-850 + 120 * np.maximum(vessels / vessels.std(), 0))[lung & body]
        hu[(x / 0.1) ** 2 + ((y - high * 0.65) / 0.1) ** 2 < 1] = 400
        hu += noise_hu * rng.standard_normal(hu.shape)
        return np.rint(hu.clip(-1000, 1000)).astype(np.int16)

    return make


@pytest.fixture(scope="session")
def sample() -> MakeSample:
    """Return a maker of samples in memory: ``sample(name, hu, spacing_mm=(10, 6, 6))``."""

    def make(name: str, hu: np.ndarray, spacing_mm: tuple[float, float, float] = SPACING) -> Sample:
        digest = sha256(np.ascontiguousarray(hu).tobytes()).hexdigest()
        return Sample(name, Path(name), digest, lambda: Slices(hu, spacing_mm))

    return make
