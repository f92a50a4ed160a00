"""What the training loop needs to know about a stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Task(Protocol):
    """One thing to train. All randomness of an example comes from the generator it is given."""

    def build(self) -> nn.Module:
        """Return the network with its starting weights; called under a fixed seed."""

    def example(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw one training example; tensors without a batch axis."""

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return scalars to log; ``loss`` among them is minimised."""

    def save(self, network: Any, folder: Path) -> None:
        """Write the trained network so that it can be loaded by name."""

    # Optional: ``picture(network, generator, steps) -> Tensor`` (H, W) in [-1, 1], what the network makes now.
