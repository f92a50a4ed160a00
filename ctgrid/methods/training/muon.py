"""Muon: momentum whose matrices are made orthogonal, for a transformer's hidden weights; AdamW for all others.

A gradient's matrix has few large singular values. Muon steps along the nearest matrix whose singular values are all
about one, so that rare directions are learnt as fast as common ones (Jordan et al., 2024; scaled to the size of AdamW's
steps as in arXiv 2502.16982, so that one learning rate serves both). Written from the equations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from ctgrid.base.errors import CtgridError
from ctgrid.methods.training.optimisation import Optimisation

ITERATION = (3.4445, -4.7750, 2.0315)
"""a, b, c of X ← aX + b(XXᵀ)X + c(XXᵀ)²X, which brings singular values from 0.01 up to about 1 in five rounds."""

ROUNDS = 5
STEP_SIZE = 0.2
"""Root mean square of AdamW's steps over the learning rate, which Muon's are scaled to."""


def orthogonalised(matrices: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return UVᵀ of matrices USVᵀ, roughly: singular values between 0.7 and 1.3 (Newton-Schulz, quintic).

    Args:
        matrices: (n, a, b).
        dtype: of the products; bf16 serves where the hardware has it.

    Returns:
        (n, a, b) float32.
    """
    first, second, third = ITERATION
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = (x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)).to(dtype)
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=second, alpha=third), x, beta=first)
    return (x.mT if tall else x).float()


def hidden_matrices(network: nn.Module) -> dict[str, int]:
    """Return the names of a transformer's hidden weights with the number of matrices that lie stacked in each.

    Those of its ``blocks``' attention (queries, keys and values are three) and perceptrons; not modulations,
    embeddings and the output.
    """
    names = (name for name, value in network.named_parameters() if value.ndim == 2 and name.startswith("blocks."))
    return {name: 3 if ".qkv." in name else 1 for name in names if ".attn." in name or ".mlp." in name}


class Muon(torch.optim.Optimizer):
    """Muon for hidden matrices and AdamW, without weight decay, for the rest."""

    def __init__(
        self,
        network: nn.Module,
        lr: float,
        hidden_rate: float = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        momentum: float = 0.95,
        eps: float = 1e-8,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Sort a network's parameters into the two groups.

        Args:
            network: a transformer with ``blocks``.
            lr: learning rate of AdamW.
            hidden_rate: that of Muon over it.
            betas: of AdamW.
            momentum: of Muon, with Nesterov's look ahead.
            eps: of AdamW.
            dtype: of the products that make matrices orthogonal.
        """
        stacked = hidden_matrices(network)
        hidden = [(value, stacked[name]) for name, value in network.named_parameters() if name in stacked]
        others = [value for name, value in network.named_parameters() if name not in stacked]
        groups: list[dict[str, Any]] = [
            {"params": [value for value, _ in hidden], "stacked": [n for _, n in hidden], "lr": lr * hidden_rate},
            {"params": others, "stacked": None},
        ]
        super().__init__(groups, {"fused": True, "lr": lr, "betas": betas, "momentum": momentum, "eps": eps})
        self.dtype = dtype  # no part of the state: another machine may want another

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step along the gradients that are there."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            if group["stacked"] is None:
                self._adamw(group)
            else:
                self._muon(group)
        return loss

    def _muon(self, group: dict[str, Any]) -> None:
        """Move hidden matrices, all of one shape in a single product."""
        batches: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for value, count in zip(group["params"], group["stacked"], strict=True):
            if value.grad is None:
                continue
            state = self.state[value]
            if not state:
                state["momentum"] = torch.zeros_like(value)
            average = state["momentum"].lerp_(value.grad, 1 - group["momentum"])
            ahead = torch.lerp(value.grad, average, group["momentum"])
            for matrix, part in zip(ahead.chunk(count), value.chunk(count), strict=True):
                wide = matrix.shape[0] <= matrix.shape[1]
                matrix, part = (matrix, part) if wide else (matrix.mT, part.mT)
                batches[matrix.shape[0], matrix.shape[1]].append((matrix, part))
        for shape, items in batches.items():
            steps = orthogonalised(torch.stack([matrix for matrix, _ in items]), self.dtype)
            for step, (_, part) in zip(steps, items, strict=True):
                part.add_(step, alpha=-group["lr"] * STEP_SIZE * max(shape) ** 0.5)

    def _adamw(self, group: dict[str, Any]) -> None:
        """Move the other parameters, in one fused kernel."""
        values = [value for value in group["params"] if value.grad is not None]
        for value in values:
            if not self.state[value]:
                zero = torch.zeros((), dtype=torch.float32, device=value.device)
                self.state[value] = {
                    "step": zero,
                    "exp_avg": torch.zeros_like(value),
                    "exp_avg_sq": torch.zeros_like(value),
                }
        states = [self.state[value] for value in values]
        adamw(
            values,
            [value.grad for value in values],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=0.0,
            eps=group["eps"],
            maximize=False,
        )


def build_optimizer(network: nn.Module, settings: Optimisation) -> torch.optim.Optimizer:
    """Return a recipe's optimizer for a network.

    Raises:
        CtgridError: for Muon where the network has no hidden matrices, or they are shared out over processes.
    """
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(
            network.parameters(),
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
            fused=settings.fused,
        )
    if settings.sharding != "none":
        raise CtgridError("optimisation.optimizer 'muon' needs whole matrices; set optimisation.sharding to 'none'")
    if not hidden_matrices(network):
        raise CtgridError("optimisation.optimizer 'muon' is for transformers; use 'adamw' for this network")
    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    return Muon(network, settings.learning_rate, settings.hidden_rate, settings.betas, dtype=dtype)
