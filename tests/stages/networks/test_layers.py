"""Layers of the transformer against their equations, on tokens kept cell by cell."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ctgrid.stages.networks.layers import (
    Attention,
    Block,
    FinalLayer,
    PatchEmbedding,
    TimestepEmbedding,
    linear_gelu,
    normalise_and_modulate,
    timestep_code,
)


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Draw seeded noise."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.precision
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_linear_with_gelu_in_one_pass_is_both_in_turn(dtype: torch.dtype) -> None:
    layer = torch.nn.Linear(48, 96).to(dtype)
    x = noise(2, 4, 5, 48).to(dtype)
    wanted = F.gelu(layer(x).float(), approximate="tanh")
    tolerance = 1e-6 if dtype == torch.float32 else 0.03
    with torch.no_grad():
        torch.testing.assert_close(linear_gelu(x, layer).float(), wanted, atol=tolerance, rtol=tolerance)
    out = linear_gelu(x, layer)
    out.float().sum().backward()
    assert layer.weight.grad is not None and bool(layer.weight.grad.abs().max() > 0)


@torch.no_grad()
def test_gelu_far_out_is_nothing_or_all() -> None:
    """Where exp runs over in float32: 0 below, the value itself above, and never NaN."""
    layer = torch.nn.Linear(1, 1, bias=False)
    layer.weight.fill_(1.0)
    x = torch.tensor([[-1e12], [-1e4], [-30.0], [30.0], [1e4], [1e12]])
    assert linear_gelu(x, layer).flatten().tolist() == pytest.approx([0, 0, 0, 30, 1e4, 1e12], rel=1e-6, abs=1e-6)


def test_timestep_code_is_cosine_then_sine() -> None:
    """At t = 0 the first half is 1 and the second 0; -1 mirrors 1; fractions lie between."""
    code = timestep_code(torch.tensor([0.0, 1.0, -1.0, 0.5]))
    assert torch.equal(code[0], torch.cat([torch.ones(128), torch.zeros(128)]))
    assert torch.equal(code[1, :128], code[2, :128])
    assert torch.equal(code[1, 128:], -code[2, 128:])
    assert code[3, 128] == pytest.approx(0.479426, abs=1e-5)


@pytest.mark.parametrize("shift", [0, 1])
def test_frequencies_fall_from_one_to_a_ten_thousandth(shift: int) -> None:
    """By the formula, one number at a time; with a shift of 1 the last is 1 / 10000 exactly."""
    width, t = 8, 37.5
    code = timestep_code(torch.tensor([[t]]), width, shift)
    assert code.shape == (1, 1, width) and code.dtype == torch.float32
    wave = [10000 ** (-j / (width / 2 - shift)) for j in range(width // 2)]
    assert code[0, 0].tolist() == pytest.approx([*(math.cos(t * w) for w in wave), *(math.sin(t * w) for w in wave)])
    assert shift == 0 or wave[-1] == pytest.approx(1e-4)


def test_modulation_broadcasts_over_cells_or_the_whole_image() -> None:
    x, shift, scale = noise(2, 4, 3, 6), noise(2, 4, 1, 6, seed=1), noise(2, 1, 1, 6, seed=2)
    centred = x - x.mean(-1, keepdim=True)
    normal = centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(normalise_and_modulate(x, shift, scale), shift + (1 + scale) * normal)


def test_patches_are_the_convolution_cell_by_cell() -> None:
    layer = PatchEmbedding(3, 5, 2)
    x = noise(2, 3, 8, 8)
    tokens = layer(x, 2)
    assert tokens.shape == (2, 4, 4, 5)
    plain = layer.proj(x)  # (2, 5, 4, 4): tokens row by row of the whole image
    for cell in range(4):
        row, column = divmod(cell, 2)
        own = plain[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].flatten(2).transpose(1, 2)
        torch.testing.assert_close(tokens[:, cell], own)


def test_attention_runs_over_all_cells() -> None:
    """As torch's own module, with the cells as one sequence."""
    layer = Attention(8, 2)
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": layer.qkv.weight,
            "in_proj_bias": layer.qkv.bias,
            "out_proj.weight": layer.proj.weight,
            "out_proj.bias": layer.proj.bias,
        }
    )
    x = noise(2, 3, 4, 8)
    flat = x.flatten(1, 2)
    torch.testing.assert_close(layer(x).flatten(1, 2), theirs(flat, flat, flat)[0], atol=1e-5, rtol=1e-4)


def test_a_block_is_two_gated_branches() -> None:
    """x + gate attention(modulated x), then the same with the perceptron."""
    block = Block(8, 2, 2.0)
    x, c = noise(2, 4, 3, 8), noise(2, 4, 1, 8, seed=1)
    six = block.adaLN_modulation[1](F.silu(c)).chunk(6, -1)
    middle = x + six[2] * block.attn(normalise_and_modulate(x, six[0], six[1]))
    hidden = F.gelu(block.mlp.fc1(normalise_and_modulate(middle, six[3], six[4])), approximate="tanh")
    torch.testing.assert_close(block(x, c), middle + six[5] * block.mlp.fc2(hidden))
    own = Block(8, 2, 2.0, t_embedder=TimestepEmbedding(8))
    timestep = torch.tensor([[3.0], [500.0]])
    assert own.t_embedder is not None
    wanted = Block.forward(own, x, c, timestep)
    torch.testing.assert_close(own(x, 0 * c, timestep), wanted)  # c is its own
    own_c, own.t_embedder = own.t_embedder(timestep)[:, :, None], None
    torch.testing.assert_close(own(x, own_c), wanted)


def test_the_last_layer_makes_patches_of_tokens() -> None:
    layer = FinalLayer(8, 2, 3)
    x, c = noise(2, 4, 3, 8), noise(2, 1, 1, 8, seed=1)
    shift, scale = layer.adaLN_modulation[1](F.silu(c)).chunk(2, -1)
    out = layer(x, c)
    assert out.shape == (2, 4, 3, 12)
    torch.testing.assert_close(out, layer.linear(normalise_and_modulate(x, shift, scale)))
