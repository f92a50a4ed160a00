"""Memory and arithmetic of tensors without data: counted as if they had some."""

from __future__ import annotations

import torch
from torch import nn

from ctgrid.methods.training.meter import Meter, imagined, no_data


def test_a_storage_counts_once_and_until_it_is_dropped() -> None:
    with imagined() as meter:
        a = torch.zeros(1000)
        view = a[:10]
        assert meter.live == 4000
        b = a + 1
        assert (meter.live, meter.peak) == (8000, 8000)
        del b
        assert (meter.live, meter.peak) == (4000, 8000)
        del a, view
        assert meter.live == 0


def test_products_are_counted_by_their_sizes() -> None:
    """2 n m k of a product, forward; as much again for each gradient."""
    with imagined() as meter:
        layer = nn.Linear(8, 16, bias=False)
        x = torch.zeros(4, 8, requires_grad=True)
        out = layer(x)
        assert meter.flops == 2 * 4 * 8 * 16
        out.sum().backward()
        assert meter.flops == 3 * 2 * 4 * 8 * 16


def test_a_new_peak_begins_at_what_is_live() -> None:
    with imagined() as meter:
        kept = torch.zeros(100)
        torch.zeros(1000) + 1
        assert meter.peak >= 8400 and meter.live == 400
        meter.restart()
        assert (meter.peak, meter.flops) == (400, 0)
        del kept
        assert meter.live == 0 and meter.peak == 400


def test_tensors_from_before_are_followed_on_request() -> None:
    meter, tensor = Meter(), torch.zeros(10)
    meter.follow(tensor)
    meter.follow(tensor[2:])
    assert meter.live == 40


def test_batches_keep_their_shapes_and_types() -> None:
    batch = {"a": torch.ones(2, 3), "b": torch.ones(4, dtype=torch.int64)}
    with imagined():
        made = no_data(batch)
        assert {name: (tuple(t.shape), t.dtype) for name, t in made.items()} == {
            "a": ((2, 3), torch.float32),
            "b": ((4,), torch.int64),
        }
