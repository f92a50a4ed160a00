"""Single random draws from an explicit generator."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ctgrid.base.errors import CtgridError


def generator_for(*numbers: int) -> torch.Generator:
    """Return the generator of a stream named by numbers, such as (seed, example).

    Different names give independent streams, except that zeros at the end do not count: (5,) and (5, 0) are
    one stream.

    Raises:
        CtgridError: for a negative number.
    """
    if min(numbers, default=0) < 0:
        raise CtgridError(f"seeds must be 0 or more, got {min(numbers)}")
    state = np.random.SeedSequence(list(numbers)).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 32 | int(state[1]))


def normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return standard normal float32 numbers of a shape."""
    return torch.randn(shape, generator=generator)


def integer(low: int, high: int, generator: torch.Generator) -> int:
    """Return an integer in [low, high)."""
    return int(torch.randint(low, high, (), generator=generator))


def uniform(generator: torch.Generator) -> float:
    """Return a float in [0, 1)."""
    return float(torch.rand((), generator=generator))
