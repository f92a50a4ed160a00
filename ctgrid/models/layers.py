"""Layers of the diffusion transformer, on tokens kept cell by cell: (B, cells, tokens of a cell, D).

One timestep for the whole image and one per cell are then the same broadcast: c is (B, 1, 1, D) or
(B, cells, 1, D). Attention runs over all tokens of the image. Parameter names are those of the published
checkpoints. Source: DiT (arXiv 2212.09748); written from the equations.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

FREQUENCY_WIDTH = 256


def timestep_code(timestep: Tensor, width: int = FREQUENCY_WIDTH) -> Tensor:
    """Encode timesteps as ``[cos(tω), sin(tω)]`` with ``ω_j = 10000^(-j / (width / 2))``.

    Args:
        timestep: any shape; fractions and -1 are fine.
        width: length of the code, even.

    Returns:
        float32, ``timestep.shape + (width,)``.
    """
    half = width // 2
    exponent = torch.arange(half, dtype=torch.float32, device=timestep.device) / half
    angle = timestep.float()[..., None] * torch.exp(-math.log(10000.0) * exponent)
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


def normalise_and_modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normalise the last dimension, then ``shift + (1 + scale) * x``; shift and scale broadcast over x."""
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=1e-6), 1 + scale)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scaled dot-product attention over (B, heads, N, d).

    For few tokens in bf16 on a CPU torch's fused kernel is slower than the products written out: a training
    step with 256 tokens and heads of 64 takes 20 % less time this way.
    """
    if q.device.type == "cpu" and q.dtype == torch.bfloat16 and q.shape[-2] <= 512 and q.shape[-1] >= 64:
        scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2))
        return torch.matmul(scores.softmax(dim=-1), v)
    return F.scaled_dot_product_attention(q, k, v)


class PatchEmbedding(nn.Module):
    """Linear map of every p×p patch; weights stored as the convolution of the published checkpoints."""

    def __init__(self, channels: int, width: int, patch_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, kernel_size=patch_size, stride=patch_size)

    def forward(self, x: Tensor, cells_per_side: int) -> Tensor:
        """Map (B, C, H, W) to tokens (B, K², m², D)."""
        p, k = self.proj.kernel_size[0], cells_per_side
        patches = rearrange(x, "b c (r h p) (s w q) -> b (r s) (h w) (c p q)", r=k, s=k, p=p, q=p)
        return F.linear(patches, rearrange(self.proj.weight, "d c p q -> d (c p q)"), self.proj.bias)


class TimestepEmbedding(nn.Module):
    """Two-layer perceptron on the timestep's frequencies."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(FREQUENCY_WIDTH, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, timestep: Tensor) -> Tensor:
        """Map timesteps (...) to (..., D)."""
        return cast(Tensor, self.mlp(timestep_code(timestep).to(next(self.parameters()).dtype)))


class Attention(nn.Module):
    """Multi-head self-attention over all tokens of the image."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, cells, tokens, D) to the same shape."""
        cells = x.shape[1]
        q, k, v = rearrange(self.qkv(x), "b c t (n h d) -> n b h (c t) d", n=3, h=self.heads).unbind(0)
        return cast(Tensor, self.proj(rearrange(attend(q, k, v), "b h (c t) d -> b c t (h d)", c=cells)))


class Mlp(nn.Module):
    """Two linear layers around a GELU (tanh form)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., D) to the same shape."""
        return cast(Tensor, self.fc2(F.gelu(self.fc1(x), approximate="tanh")))


class Block(nn.Module):
    """Transformer block whose shifts, scales and gates come from the timestep."""

    def __init__(self, width: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.attn = Attention(width, heads)
        self.mlp = Mlp(width, round(width * mlp_ratio))
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Apply attention and perceptron to x (B, cells, tokens, D), modulated by c (B, cells or 1, 1, D)."""
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(c).chunk(6, dim=-1)
        x = torch.addcmul(x, gate_a, self.attn(normalise_and_modulate(x, shift_a, scale_a)))
        return torch.addcmul(x, gate_m, self.mlp(normalise_and_modulate(x, shift_m, scale_m)))


class FinalLayer(nn.Module):
    """Modulated normalisation and the linear map from tokens to patches."""

    def __init__(self, width: int, patch_size: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, patch_size * patch_size * channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Map (B, cells, tokens, D) to (B, cells, tokens, p·p·C)."""
        shift, scale = self.adaLN_modulation(c).chunk(2, dim=-1)
        return cast(Tensor, self.linear(normalise_and_modulate(x, shift, scale)))
