"""A task so small that its numbers can be checked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ctgrid.base.draws import normal
from ctgrid.methods.training.optimisation import Optimisation


class Line:
    """Fit y = 2 x + 1; every x that was drawn is remembered."""

    def __init__(self) -> None:
        self.drawn: list[float] = []
        self.scale = 1.0

    def build(self) -> nn.Module:
        return nn.Linear(1, 1)

    def example(self, generator: torch.Generator) -> dict[str, Tensor]:
        x = normal((1,), generator)
        self.drawn.append(float(x))
        return {"x": x, "y": 2 * x + 1}

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        error = network(batch["x"]) - batch["y"]
        return {"loss": self.scale * error.square().mean(), "largest": error.abs().max()}

    def save(self, network: Any, folder: Path) -> None:
        folder.mkdir()
        torch.save(network.state_dict(), folder / "weights.pt")


def settings(**changes: Any) -> Optimisation:
    """Eight examples a step, fast."""
    return Optimisation(**{"steps": 8, "batch_size": 8, "learning_rate": 0.1, "ema_decay": 0.5} | changes)
