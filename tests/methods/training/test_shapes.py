"""Shapes, layouts and dtypes that are told are those of operations that are done."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from ctgrid.methods.training.shapes import RULES, told

aten = torch.ops.aten
X, Y = torch.rand(2, 4, 6, 8), torch.rand(4, 1, 8).bfloat16()
T = X.transpose(1, 3)
A, B = torch.rand(3, 5, 7), torch.rand(3, 7, 2)
Q, K, V = (torch.rand(2, 3, n, 4) for n in (5, 6, 6))
MASK = [True, True, True]
NORM = aten.native_layer_norm.default(X, [8], None, None, 1e-5)
HEADS = aten._scaled_dot_product_flash_attention_for_cpu.default(Q, K, V)

CALLS: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
    (aten.add.Tensor, (X, Y), {}),
    (aten.add.Tensor, (T, T), {}),
    (aten.mul.Tensor, (Y, 2.5), {}),
    (aten.div.Tensor, (torch.arange(3), 2), {}),
    (aten.gt.Scalar, (X, 0.5), {}),
    (aten.where.self, (X > 0.5, X, torch.zeros(())), {}),
    (aten.gelu_backward.default, (X, X), {"approximate": "tanh"}),
    (aten.addcmul.default, (X, X, torch.ones(1, 4, 1, 8)), {}),
    (aten.pow.Tensor_Scalar, (Y, 2), {}),
    (aten._softmax.default, (X, -1, False), {}),
    (aten._softmax_backward_data.default, (X, X, -1, torch.float32), {}),
    (aten.clone.default, (T,), {"memory_format": torch.contiguous_format}),
    (aten.clone.default, (T,), {}),
    (aten.clone.default, (X[:, :1].expand(2, 4, 6, 8),), {}),
    *((op, (T,), {}) for op in (aten.zeros_like.default, aten.ones_like.default, aten.empty_like.default)),
    *((op, (X,), {}) for op in (aten.rand_like.default, aten.randn_like.default)),
    (aten.full_like.default, (X, 2), {"dtype": torch.int64}),
    (aten.sum.dim_IntList, (X, [1, -1], True), {}),
    (aten.sum.default, (X > 0.5,), {}),
    (aten.mean.dim, (Y, [0]), {}),
    (aten.mean.default, (X,), {}),
    (aten.mm.default, (A[0], B[0]), {}),
    (aten.bmm.default, (A, B), {}),
    (aten.addmm.default, (torch.rand(2), A[0], B[0]), {}),
    (aten.baddbmm.default, (torch.rand(3, 5, 2), A, B), {}),
    (aten.cat.default, ([X, X], 1), {}),
    (aten.cat.default, ([X, X.half()],), {}),
    (aten.stack.default, ([Y, Y], -1), {}),
    (aten.zeros.default, ([2, 3],), {"dtype": torch.int32}),
    *((op, ([2, 3],), {}) for op in (aten.ones.default, aten.empty.memory_format)),
    (aten.arange.default, (5,), {}),
    (aten.scalar_tensor.default, (5.0,), {}),
    (aten._fused_sdp_choice.default, (Q, K, V), {}),
    (aten.index.Tensor, (X, [None, torch.tensor([0, 3, 1]), torch.tensor([[1], [2]])]), {}),
    (aten.index.Tensor, (X, [torch.tensor([0, 1]), None, torch.tensor([1, 2])]), {}),
    (aten.convolution.default, (X, torch.rand(6, 2, 3, 3), None, [2, 1], [1, 0], [1, 2], False, [0, 0], 2), {}),
    (
        aten.convolution_backward.default,
        (torch.rand(2, 5, 6, 8), X, torch.rand(5, 4, 3, 3), [5], [1, 1], [1, 1], [1, 1], False, [0, 0], 1, MASK),
        {},
    ),
    (aten.native_layer_norm.default, (X, [6, 8], torch.rand(6, 8), None, 1e-5), {}),
    (aten.native_layer_norm_backward.default, (X, X, [8], NORM[1], NORM[2], torch.rand(8), torch.rand(8), MASK), {}),
    (aten.native_group_norm.default, (X, torch.rand(4), torch.rand(4), 2, 4, 48, 2, 1e-5), {}),
    (aten._scaled_dot_product_flash_attention_for_cpu.default, (Q, K, V), {}),
    (aten._scaled_dot_product_flash_attention_for_cpu.default, (A.view(3, 5, 1, 7).transpose(1, 2),) * 3, {}),
    (
        aten._scaled_dot_product_flash_attention_for_cpu_backward.default,
        (HEADS[0], Q, K, V, HEADS[0], HEADS[1], 0.0, False),
        {},
    ),
    (aten.constant_pad_nd.default, (X, [0, 1, 2, 3]), {}),
    (aten.repeat.default, (A, [2, 1, 3, 1]), {}),
    (aten.slice_backward.default, (X, [2, 9, 6, 8], 1, 0, 4, 1), {}),
    (aten.select_backward.default, (X[0], [2, 4, 6, 8], 0, 1), {}),
    (aten.pixel_shuffle.default, (X, 2), {}),
    (aten.pixel_unshuffle.default, (X, 2), {}),
]


def looks(result: Any) -> list[Any]:
    return [(t.shape, t.stride(), t.dtype) if isinstance(t, Tensor) else t for t in tree_leaves(result)]


@pytest.mark.parametrize(("func", "args", "kwargs"), CALLS, ids=[f"{i}-{c[0]}" for i, c in enumerate(CALLS)])
def test_what_is_told_is_what_is_done(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    result = told(func, args, kwargs)
    assert result is not NotImplemented
    assert looks(result) == looks(func(*args, **kwargs))


def test_every_rule_is_tried() -> None:
    assert RULES.keys() <= {call[0]._overloadpacket.__name__ for call in CALLS}
