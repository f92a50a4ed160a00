"""What tests of tasks share: a network that gives prepared answers, and batches of a task's examples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ctgrid.base.draws import generator_for

ABSOLUTE = {"patch_size": 2, "width": 32, "depth": 1, "heads": 2, "absolute_z": True, "learned_variance": False}


class Answers(nn.Module):
    """Return a prepared output, and keep what was asked."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output
        self.asked: dict[str, Tensor] = {}

    def forward(self, noisy: Tensor, timestep: Tensor, **inputs: Tensor) -> Tensor:
        self.asked = {"noisy": noisy, "timestep": timestep, **inputs}
        return self.output


def batch_of(task: Any, count: int) -> dict[str, Tensor]:
    """Stack examples."""
    examples = [task.example(generator_for(8, i)) for i in range(count)]
    return {key: torch.stack([example[key] for example in examples]) for key in examples[0]}
