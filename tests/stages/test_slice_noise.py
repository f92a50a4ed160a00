"""Stage 2's noise along z."""

from __future__ import annotations

import math

import pytest
import torch

from ctgrid.base.draws import generator_for
from ctgrid.stages.slice_noise import slice_noise

SHAPE = (4, 40, 40)


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a * b).mean())


@pytest.mark.parametrize("length", [0.0, 4.0, 7.3, math.inf])
def test_every_slice_is_standard_normal(length: float) -> None:
    for z in (0.0, 1.3, 2.0, 100.7):
        noise = slice_noise(SHAPE, 2, [3], [z], length)[0]
        assert noise.shape == SHAPE and float(noise.mean()) == pytest.approx(0, abs=0.05)
        assert float(noise.std()) == pytest.approx(1, abs=0.04)


def test_neighbours_correlate_as_far_as_the_length() -> None:
    """cos(π d / 2 L) between two anchors, nothing two anchors further; all where shared, nothing where independent."""
    near, next_to, far = slice_noise(SHAPE, 2, [0] * 3, [0.5, 2.5, 12.5], 4.0)
    assert correlation(near, next_to) == pytest.approx(math.cos(math.pi / 4), abs=0.05)
    assert abs(correlation(near, far)) < 0.05
    apart = slice_noise(SHAPE, 2, [0] * 2, [0.5, 0.6], 0.0)
    assert abs(correlation(*apart)) < 0.05
    shared = slice_noise(SHAPE, 2, [0] * 2, [0.5, 200.0], math.inf)
    assert torch.equal(shared[0], shared[1])
    assert torch.equal(shared[0], torch.randn(SHAPE, generator=generator_for(0, 2)))


@pytest.mark.parametrize("length", [0.0, 4.0, math.inf])
def test_it_depends_on_seed_and_place_alone(length: float) -> None:
    """Whatever else is in the batch, and in which order."""
    seeds, places = [0, 1, 0, 1], [0.7, 0.7, 9.1, 30.2]
    together = slice_noise(SHAPE, 2, seeds, places, length)
    for i in (3, 0, 2, 1):
        assert torch.equal(together[i], slice_noise(SHAPE, 2, [seeds[i]], [places[i]], length)[0])
    assert abs(correlation(together[0], together[1])) < 0.05
