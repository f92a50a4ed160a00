"""Scaled dot-product attention, by whichever way of three is quickest; all give the same but for rounding.

In bf16 on a CPU torch's fused kernel reaches half the rate of a matrix product. Up to 512 tokens the products written
out for all heads at once are quicker; beyond, for one head at a time, whose scores stay in the cache. Measured for
1024 tokens in 24 heads of 64 on two cores: 23 ms forward and 52 backward, against 42 and 81 of the fused kernel.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

FEW_TOKENS = 512
MOST_TOKENS = 2048
"""Beyond it the scores of a head leave the cache."""

LEAST_WIDTH = 64
"""Below it the products are too thin to pay."""


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return softmax(q kᵀ / √d) v over (B, heads, N, d)."""
    tokens, width = q.shape[-2:]
    watched = not torch.compiler.is_compiling() and torch._C._len_torch_dispatch_stack() > 0
    if watched:  # by a plan, which counts: one operation instead of many that say the same
        return F.scaled_dot_product_attention(q, k, v)
    if q.device.type != "cpu" or q.dtype != torch.bfloat16 or width < LEAST_WIDTH:
        return F.scaled_dot_product_attention(q, k, v)
    if tokens <= FEW_TOKENS:
        return torch.matmul(_weights(q, k), v)
    if tokens <= MOST_TOKENS and not torch.compiler.is_compiling():  # compiled code knows no products head by head
        attended: Tensor = HeadwiseAttention.apply(q, k, v)
        return attended
    return F.scaled_dot_product_attention(q, k, v)


class HeadwiseAttention(torch.autograd.Function):
    """Attention as products of matrices, one head after the other; backward computes the weights again."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend, and keep the arguments for the backward pass."""
        ctx.save_for_backward(q, k, v)
        out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
        for b in range(q.shape[0]):
            for h in range(q.shape[1]):
                torch.mm(_weights(q[b, h], k[b, h]), v[b, h], out=out[b, h])
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of q, k and v.

        With P = softmax(S), S = q kᵀ / √d: dV = Pᵀ dO, dP = dO Vᵀ, dS = P ∘ (dP - rowsum(dP ∘ P)), dQ = dS K / √d,
        dK = dSᵀ Q / √d.
        """
        (d_out,) = gradients
        q, k, v = ctx.saved_tensors
        d_q, d_k, d_v = (torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (q, k, v))
        for b in range(q.shape[0]):
            for h in range(q.shape[1]):
                weights, d_o = _weights(q[b, h], k[b, h]), d_out[b, h]
                torch.mm(weights.t(), d_o, out=d_v[b, h])
                d_weights = torch.mm(d_o, v[b, h].t())
                d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)
                torch.mm(d_scores, k[b, h], out=d_q[b, h])
                torch.mm(d_scores.t(), q[b, h], out=d_k[b, h])
        scale = q.shape[-1] ** -0.5
        return d_q.mul_(scale), d_k.mul_(scale), d_v


def _weights(q: Tensor, k: Tensor) -> Tensor:
    """Return the softmax of the scaled scores (..., N, N)."""
    return torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2)).softmax(dim=-1)
