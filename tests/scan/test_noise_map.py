"""Maps of noise: right where it is known, carried over to where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from ctgrid.scan.noise_map import carried_over


def test_known_noise_is_carried_over() -> None:
    """Half is quiet and half loud, with a hole of nonsense in the loud one: the hole is loud too."""
    variance = np.full((40, 80), 10.0**2)
    variance[:, 40:] = 30.0**2
    weight = np.ones_like(variance)
    hole = (slice(15, 25), slice(60, 70))
    variance[hole], weight[hole] = np.nan, 0.0
    found = carried_over(variance, weight, (5.0, 5.0))
    assert found[20, 5] == pytest.approx(10, rel=0.1) and found[20, 75] == pytest.approx(30, rel=0.05)
    assert found[hole] == pytest.approx(30, rel=0.05)


def test_far_from_all_knowledge_the_whole_counts() -> None:
    variance, weight = np.zeros((10, 200)), np.zeros((10, 200))
    variance[:, 0], weight[:, 0] = 20.0**2, 1.0
    assert carried_over(variance, weight, (5.0, 5.0))[5, 199] == pytest.approx(20)
