"""Operations that are not done: what they return is that of their arguments, or of torch's own rules."""

from __future__ import annotations

import torch

from ctgrid.methods.training.shapes import told
from ctgrid.methods.training.untouched import untouched

aten = torch.ops.aten


def test_views_and_results_in_place_are_of_what_was_given() -> None:
    x = torch.ones(2, 6)
    assert untouched(aten.view.default, (x, [3, 4]), {}).untyped_storage()._cdata == x.untyped_storage()._cdata
    assert untouched(aten._unsafe_view.default, (x, [3, 4]), {}).shape == (3, 4)
    assert untouched(aten.add_.Tensor, (x, 1), {}) is x and x.sum() == 12
    assert untouched(aten._foreach_add_.Scalar, ([x], 1), {}) is None and x.sum() == 12


def test_torch_is_asked_where_no_rule_says() -> None:
    x = torch.ones(2, 3, 4, 4)
    for func, args in ((aten.cumsum.default, (x, 1)), (aten.max_pool2d_with_indices.default, (x, [2, 2]))):
        assert told(func, args, {}) is NotImplemented
        made, done = untouched(func, args, {}), func(*args)
        for one, other in zip(made, done, strict=True) if isinstance(done, tuple) else ((made, done),):
            assert (one.shape, one.stride(), one.dtype) == (other.shape, other.stride(), other.dtype)
