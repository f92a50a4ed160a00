"""Attention by whichever way is quickest: all give the same but for rounding, forward and backward."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ctgrid.stages.networks import attention
from ctgrid.stages.networks.attention import HeadwiseAttention, attend


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Draw seeded noise."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.precision
@pytest.mark.parametrize(("tokens", "width"), [(64, 64), (64, 128), (640, 64), (64, 32)])
def test_written_out_attention_is_attention(tokens: int, width: int) -> None:
    """Both paths in bf16 agree with float32 attention."""
    q, k, v = noise(3, 2, 2, tokens, width).bfloat16().unbind(0)
    exact = F.scaled_dot_product_attention(q.float(), k.float(), v.float())
    torch.testing.assert_close(attend(q, k, v).float(), exact, atol=0.03, rtol=0.03)


@pytest.mark.parametrize("tokens", [64, 640])
def test_gradients_of_written_out_attention_are_those_of_attention(tokens: int) -> None:
    """Whichever way, as close to float64 as torch's own kernel in bf16, but for a factor of two."""
    values = noise(4, 2, 2, tokens, 64)
    leaves: dict[str, list[Tensor]] = {}
    for name, dtype in (("exact", torch.float64), ("ours", torch.bfloat16), ("torch", torch.bfloat16)):
        q, k, v = (x.bfloat16().to(dtype).requires_grad_() for x in values[:3])
        attended = attend(q, k, v) if name == "ours" else F.scaled_dot_product_attention(q, k, v)
        attended.backward(values[3].bfloat16().to(dtype))
        leaves[name] = [x.grad.double() for x in (q, k, v) if x.grad is not None]

    def error(name: str) -> list[float]:
        return [float((a - b).norm() / b.norm()) for a, b in zip(leaves[name], leaves["exact"], strict=True)]

    assert all(ours < 2.5 * theirs for ours, theirs in zip(error("ours"), error("torch"), strict=True))


def test_head_by_head_is_exact_in_float64() -> None:
    """Forward by the definition, backward by differences."""
    q, k, v = (x.double().requires_grad_() for x in noise(3, 1, 2, 5, 3).unbind(0))
    out = HeadwiseAttention.apply(q, k, v)
    scores = torch.einsum("bhnd,bhmd->bhnm", q, k) / 3**0.5
    weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
    torch.testing.assert_close(out, torch.einsum("bhnm,bhmd->bhnd", weights, v))
    assert torch.autograd.gradcheck(HeadwiseAttention.apply, (q, k, v))


@pytest.mark.parametrize(
    ("tokens", "width", "dtype", "way"),
    [
        (512, 64, torch.bfloat16, "written out"),
        (513, 64, torch.bfloat16, "head by head"),
        (2048, 64, torch.bfloat16, "head by head"),
        (2049, 64, torch.bfloat16, "kernel"),
        (64, 63, torch.bfloat16, "kernel"),
        (64, 64, torch.float32, "kernel"),
    ],
)
def test_sizes_choose_the_way(
    tokens: int, width: int, dtype: torch.dtype, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    q = torch.zeros(1, 1, tokens, width, dtype=dtype)
    monkeypatch.setattr(attention, "_weights", lambda q, k: "weights")
    monkeypatch.setattr(attention.torch, "matmul", lambda weights, v: "written out")
    monkeypatch.setattr(attention.HeadwiseAttention, "apply", lambda q, k, v: "head by head")
    monkeypatch.setattr(attention.F, "scaled_dot_product_attention", lambda q, k, v: "kernel")
    assert attend(q, q, q) == way
