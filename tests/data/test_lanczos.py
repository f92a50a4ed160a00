"""Sequences at other places along z."""

from __future__ import annotations

import math

import pytest
import torch

from ctgrid.data.lanczos import at_places, resampled


def wave(count: int, periods: float) -> torch.Tensor:
    """Return a sine of so many periods over the extent that ``count`` slices share out."""
    return torch.sin((torch.arange(count) + 0.5) * (2 * math.pi * periods / count))


def test_as_many_are_the_same() -> None:
    slices = torch.rand(9, 2, 3)
    assert resampled(slices, 9) is slices
    assert torch.allclose(at_places(slices, torch.arange(9.0)), slices, atol=1e-6)


@pytest.mark.parametrize("count", [60, 100, 201, 402, 1000])
def test_slices_share_out_the_extent(count: int) -> None:
    """So a wave stays where it was, and as high as it was."""
    made = resampled(wave(201, 5)[:, None, None].expand(-1, 2, 2), count)
    assert made.shape == (count, 2, 2) and torch.equal(made[:, 0, 1], made[:, 1, 0])
    inner = slice(count // 20, -(count // 20))
    assert torch.allclose(made[inner, 0, 0], wave(count, 5)[inner], atol=0.03)


def test_what_fewer_slices_cannot_show_is_left_out() -> None:
    """40 slices hold 20 periods at most; 60 would come back as 20."""
    assert float(resampled(wave(201, 60), 40)[4:-4].abs().max()) < 0.05
    assert float(resampled(wave(201, 60), 201).abs().max()) > 0.95


def test_a_sequence_goes_on_as_it_ends() -> None:
    made = at_places(torch.arange(5.0), torch.tensor([-3.0, 0.0, 4.0, 9.0]))
    assert made.tolist() == pytest.approx([0, 0, 4, 4], abs=1e-6)
    assert float(resampled(torch.ones(1, 4), 7).min()) == pytest.approx(1)
