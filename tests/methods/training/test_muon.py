"""Muon: what it does to a matrix, which weights it takes, and how a run with it goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ctgrid.base.draws import generator_for
from ctgrid.base.errors import CtgridError
from ctgrid.methods.training.muon import STEP_SIZE, Muon, build_optimizer, hidden_matrices, orthogonalised
from ctgrid.methods.training.optimisation import Optimisation
from ctgrid.stages.networks.dit import DiT


def noise(*shape: int) -> Tensor:
    """Standard normal numbers, always the same."""
    return torch.randn(*shape, generator=generator_for(7))


def small() -> DiT:
    """A transformer of two blocks."""
    return DiT(latent_size=16, in_channels=2, patch_size=2, width=32, depth=2, heads=2, learned_variance=False)


@pytest.mark.parametrize("shape", [(48, 48), (32, 128), (128, 32)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_singular_values_become_about_one(shape: tuple[int, int], dtype: torch.dtype) -> None:
    """Singular vectors stay; a matrix a thousand times as large gives the same."""
    matrices = noise(2, *shape)
    made = orthogonalised(matrices, dtype)
    assert made.shape == matrices.shape and made.dtype == torch.float32
    u, values, v = torch.linalg.svd(matrices, full_matrices=False)
    aligned = (u.mT @ made @ v.mT).diagonal(dim1=-2, dim2=-1)
    large = values > 0.05 * values.amax(dim=-1, keepdim=True)  # far smaller ones need more rounds
    assert bool(((aligned > 0.6) & (aligned < 1.3))[large].all())
    torch.testing.assert_close(orthogonalised(1000 * matrices, dtype), made, atol=0.02, rtol=0.02)


def test_hidden_matrices_are_those_of_attention_and_perceptrons() -> None:
    """Modulations, embeddings, the output and all biases go to AdamW; queries, keys and values count as three."""
    names = hidden_matrices(small())
    parts = {"attn.qkv": 3, "attn.proj": 1, "mlp.fc1": 1, "mlp.fc2": 1}
    assert names == {f"blocks.{i}.{part}.weight": count for i in range(2) for part, count in parts.items()}


def test_a_step_moves_every_matrix_by_a_known_length() -> None:
    """Each of three stacked matrices by itself, whatever the size of its gradient; the rest as AdamW does."""
    network, twin = small(), small()
    twin.load_state_dict(network.state_dict())
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    names = hidden_matrices(network)
    for (name, value), other in zip(network.named_parameters(), twin.parameters(), strict=True):
        value.grad = noise(*value.shape) * (1e-3 if "qkv" in name else 5.0)
        other.grad = value.grad.clone()
    Muon(network, lr=1e-3, hidden_rate=2.0).step()
    torch.optim.AdamW(twin.parameters(), lr=1e-3, weight_decay=0.0, fused=True).step()
    for (name, value), other in zip(network.named_parameters(), twin.parameters(), strict=True):
        if name not in names:
            assert torch.equal(value, other), name
            continue
        for moved in (before[name] - value.detach()).chunk(names[name]):
            length = STEP_SIZE * 2e-3 * max(moved.shape) ** 0.5 * min(moved.shape) ** 0.5
            assert float(moved.norm()) == pytest.approx(length, rel=0.25)


@pytest.mark.parametrize("kind", ["stage1", "stage2"])
def test_a_run_with_muon_resumes_exactly(
    kind: str, run: Callable[..., Path], log_of: Callable[..., Any], weights_of: Callable[..., Any]
) -> None:
    """To the last bit: momentum and AdamW's moments are part of a checkpoint."""
    changes = {"optimisation.optimizer": "muon", "optimisation.hidden_rate": 2.0, "optimisation.betas": [0.9, 0.99]}
    whole = run(kind, "whole", changes=changes)
    run(kind, "parts", changes=changes, max_steps=3)
    parts = run(kind, "parts", changes=changes, resume=True)
    assert log_of(parts) == log_of(whole) and weights_of(parts) == weights_of(whole)
    plain = run(kind, "plain")
    assert weights_of(plain) != weights_of(whole)


def test_networks_and_shares_without_whole_matrices_are_refused() -> None:
    """In a line that says what to set."""
    settings: dict[str, Any] = {"steps": 1, "batch_size": 1, "optimizer": "muon"}
    with pytest.raises(CtgridError, match="'muon' is for transformers; use 'adamw'"):
        build_optimizer(torch.nn.Linear(2, 2), Optimisation(**settings))
    with pytest.raises(CtgridError, match=r"needs whole matrices; set optimisation.sharding to 'none'"):
        build_optimizer(small(), Optimisation(**settings, sharding="fsdp"))
