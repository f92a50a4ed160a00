"""Single draws: ranges, repeatability, and streams that do not repeat each other."""

from __future__ import annotations

import pytest
import torch

from ctgrid.base.draws import generator_for, integer, normal, uniform
from ctgrid.base.errors import CtgridError


def test_a_stream_repeats_and_others_differ() -> None:
    """The order of the numbers counts, and so does each of them."""
    names = [(0,), (1,), (0, 1), (1, 1), (1, 2), (2, 1), (1, 1, 1), (2**32 - 1, 5)]
    drawn = [normal((8,), generator_for(*name)) for name in names]
    assert torch.equal(drawn[4], normal((8,), generator_for(1, 2)))
    for i, one in enumerate(drawn):
        assert all(not torch.equal(one, other) for other in drawn[:i])


def test_draws_come_from_the_generator_alone() -> None:
    """Torch's own state neither matters nor changes."""
    before = torch.random.get_rng_state()
    first = [integer(3, 9, g) for g in [generator_for(4)] for _ in range(200)]
    torch.rand(5)
    generator = generator_for(4)
    assert [integer(3, 9, generator) for _ in range(200)] == first
    assert set(first) == {3, 4, 5, 6, 7, 8}
    values = [uniform(generator) for _ in range(200)]
    assert min(values) >= 0 and max(values) < 1 and max(values) - min(values) > 0.8
    torch.random.set_rng_state(before)
    integer(0, 2, generator), uniform(generator), normal((2,), generator)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_negative_seed_is_refused() -> None:
    """NumPy would refuse it too, but not in one clear line."""
    with pytest.raises(CtgridError, match="got -3"):
        generator_for(1, -3)
