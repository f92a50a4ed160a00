"""The average of a network's weights over its training: a running one (EMA) that lags behind less at the start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ctgrid.methods.training.parallel import shared_like, whole

POWER = 0.75
"""Of the decay's way to its end: 0.999 is reached after 10 000 steps."""


class Average:
    """Averaged weights, a shadow of each parameter; under FSDP each process holds its part.

    After step n each follows as ``s ← s - (1 - d)(s - p)`` with d = min(decay, 1 - n^-3/4), so that the first step
    takes the parameters as they are; without warm-up d is the decay from the start. Bit for bit what
    ``diffusers.training_utils.EMAModel`` makes, whose import takes seconds.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float, warmup: bool = True) -> None:
        """Begin at the parameters."""
        self.weights: list[Tensor] = [parameter.detach().clone() for parameter in parameters]
        self.decay, self.warmup, self.steps = decay, warmup, 0

    def decay_at(self, step: int) -> float:
        """Return how much of the average stays at a step, counted from 1."""
        return min(1 - step**-POWER, self.decay) if self.warmup else self.decay

    @torch.no_grad()
    def step(self, parameters: Iterable[nn.Parameter]) -> None:
        """Follow the parameters; those that are not trained are copied."""
        self.steps += 1
        share = 1 - self.decay_at(self.steps)
        for shadow, parameter in zip(self.weights, parameters, strict=True):
            if parameter.requires_grad:
                shadow.sub_(share * (shadow - parameter))
            else:
                shadow.copy_(parameter)

    def state_dict(self) -> dict[str, Any]:
        """Gather every averaged weight, whole; all processes must call this."""
        weights = [whole(value).cpu() for value in self.weights]
        return {"decay": self.decay, "optimization_step": self.steps, "shadow_params": weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over whole averaged weights."""
        self.decay, self.steps = state["decay"], state["optimization_step"]
        self.weights = [
            shared_like(value, like) for value, like in zip(state["shadow_params"], self.weights, strict=True)
        ]


@contextmanager
def averaged(average: Average, model: nn.Module) -> Iterator[None]:
    """Put the averaged weights into the model inside the context, and its own back afterwards."""
    parameters = list(model.parameters())
    kept = [parameter.detach().cpu().clone() for parameter in parameters]
    try:
        for parameter, value in zip(parameters, average.weights, strict=True):
            parameter.data.copy_(value)
        yield
    finally:
        for parameter, value in zip(parameters, kept, strict=True):
            parameter.data.copy_(value)
