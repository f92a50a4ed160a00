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

from ctgrid.base.precision import multiplies_in
from ctgrid.stages.networks.attention import attend

FREQUENCY_WIDTH = 256
NORM_EPS = 1e-6
GELU = (2 * math.sqrt(2 / math.pi), 0.044715)
"""2√(2/π) and the cubic term: GELU's tanh form is y σ(a (y + b y³))."""


def timestep_code(timestep: Tensor, width: int = FREQUENCY_WIDTH, shift: int = 0) -> Tensor:
    """Encode timesteps as ``[cos(tω), sin(tω)]`` with ``ω_j = 10000^(-j / (width / 2 - shift))``.

    Args:
        timestep: any shape; fractions and -1 are fine.
        width: length of the code, even.
        shift: 0 as published; 1 in diffusers, whose lowest frequency is exactly 1 / 10000.

    Returns:
        float32, ``timestep.shape + (width,)``.
    """
    half = width // 2
    order = torch.arange(half, dtype=torch.float32, device=timestep.device)
    angle = timestep.float()[..., None] * torch.exp(-math.log(10000.0) * order / (half - shift))
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


def normalise_and_modulate(x: Tensor, shift: Tensor, scale: Tensor, eps: float = NORM_EPS) -> Tensor:
    """Normalise the last dimension, then ``shift + (1 + scale) * x``; shift and scale broadcast over x."""
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=eps), 1 + scale)


def linear_gelu(x: Tensor, layer: nn.Linear) -> Tensor:
    """Apply a linear layer and a GELU (tanh form); on a CPU without gradients in less passes, or quicker ones.

    In bf16 that is one pass over the memory; in float32 y / (1 + exp(-a (y + b y³))), whose exp MKL has in a quarter of
    the time that torch takes for GELU.
    """
    fused = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    plain = torch.is_grad_enabled() or torch.is_autocast_enabled(x.device.type) or torch.compiler.is_compiling()
    if torch.compiler.is_compiling() and x.device.type == "cpu":  # tanh u = 2 σ(2u) - 1, at half the cost
        y = layer(x)
        return cast(Tensor, y * torch.sigmoid(y * (GELU[0] + GELU[0] * GELU[1] * y * y)))
    plain = plain or x.device.type != "cpu"
    if not plain and x.dtype == layer.weight.dtype == torch.float32:
        y = layer(x)
        divisor = torch.addcmul(y.new_tensor(-GELU[0]), y, y, value=-GELU[0] * GELU[1]).mul_(y).exp_().add_(1)
        return cast(Tensor, y.div_(divisor))
    plain = plain or not x.dtype == layer.weight.dtype == torch.bfloat16
    if fused is None or plain or not multiplies_in(torch.bfloat16, x.device):  # elsewhere the fused call raises
        return F.gelu(layer(x), approximate="tanh")
    return cast(Tensor, fused(x, layer.weight, layer.bias, "gelu", [], "tanh"))


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

    def __init__(self, width: int, frequency_shift: int = 0) -> None:
        super().__init__()
        self.frequency_shift = frequency_shift
        self.mlp = nn.Sequential(nn.Linear(FREQUENCY_WIDTH, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, timestep: Tensor) -> Tensor:
        """Map timesteps (...) to (..., D)."""
        code = timestep_code(timestep, shift=self.frequency_shift)
        return cast(Tensor, self.mlp(code.to(next(self.parameters()).dtype)))


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
        return cast(Tensor, self.fc2(linear_gelu(x, self.fc1)))


class Block(nn.Module):
    """Transformer block whose shifts, scales and gates come from the timestep.

    Attributes:
        norm_eps: of the normalisation before the perceptron; that before the attention has ``NORM_EPS``.
        t_embedder: the block's own timestep embedding, where it has one.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_ratio: float,
        norm_eps: float = NORM_EPS,
        t_embedder: TimestepEmbedding | None = None,
    ) -> None:
        super().__init__()
        self.norm_eps = norm_eps
        self.t_embedder = t_embedder
        self.attn = Attention(width, heads)
        self.mlp = Mlp(width, round(width * mlp_ratio))
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, c: Tensor, timestep: Tensor | None = None) -> Tensor:
        """Apply attention and perceptron to x (B, cells, tokens, D), modulated by c (B, cells or 1, 1, D).

        A block with a ``t_embedder`` of its own takes c from ``timestep`` (B, cells or 1) instead.
        """
        if self.t_embedder is not None:
            c = self.t_embedder(timestep)[:, :, None]
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(c).chunk(6, dim=-1)
        x = torch.addcmul(x, gate_a, self.attn(normalise_and_modulate(x, shift_a, scale_a)))
        return torch.addcmul(x, gate_m, self.mlp(normalise_and_modulate(x, shift_m, scale_m, self.norm_eps)))


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
