"""What shapes operations return, told from those of their arguments; torch's own rules are slow to import.

Only for what networks mostly consist of; :mod:`ctgrid.methods.training.untouched` asks torch for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

Shape = Sequence[int]


def told(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return tensors without values of the shapes, layouts and dtypes that an operation returns.

    Args:
        func: an operation of ``torch.ops``.
        args: of it.
        kwargs: likewise.

    Returns:
        NotImplemented where no rule says.
    """
    rule = _rule(func)
    return NotImplemented if rule is None else rule(func, args, kwargs)


@cache
def _rule(func: Any) -> Callable[[Any, Any, Any], Any] | None:
    return RULES.get(func._overloadpacket.__name__) or (_alike if torch.Tag.pointwise in func.tags else None)


_DTYPES: dict[Any, torch.dtype | None] = {}


def _dtype(func: Any, args: Any, kwargs: Any) -> torch.dtype | None:
    """Return the dtype of an operation's result, None where it is no tensor; the same arguments are tried once."""
    leaves = tree_leaves((args, kwargs))
    kinds = ((t.dtype, t.dim()) if isinstance(t, Tensor) else (type(t), t) for t in leaves)
    key = (func, len(args), *kwargs, *kinds)
    try:
        return _DTYPES[key]
    except (KeyError, TypeError):  # a leaf that is no key, such as a generator, is tried every time
        dtype = _tried(func, args, kwargs)
    with suppress(TypeError):
        _DTYPES[key] = dtype
    return dtype


def _tried(func: Any, args: Any, kwargs: Any) -> torch.dtype | None:
    """Do an operation on tensors of one number each; the result's dtype is the true one."""
    one, more = tree_map_only(Tensor, lambda t: torch.ones((1,) * t.dim(), dtype=t.dtype), (args, kwargs))
    small = func(*one, **more)
    return small.dtype if isinstance(small, Tensor) else None


def _alike(func: Any, args: Any, kwargs: Any) -> Any:
    """Number by number: shapes are broadcast, and the layout is that of the first argument with the result's shape."""
    given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    dtype = _dtype(func, args, kwargs)
    if dtype is None:
        return NotImplemented
    shape = np.broadcast_shapes(*(tuple(t.shape) for t in given))
    like = next((t for t in given if t.shape == shape), None)
    layout = kwargs.get("memory_format", torch.preserve_format)
    if like is None or layout is torch.contiguous_format:
        return torch.empty(shape, dtype=dtype)
    return torch.empty_like(like, dtype=dtype, memory_format=layout)


def _reduced(func: Any, args: Any, kwargs: Any) -> Tensor:
    """Sums and means over some axes."""
    x, keep = args[0], len(args) > 2 and args[2]
    axes = {axis % x.dim() for axis in ((args[1] if len(args) > 1 else ()) or ())} or set(range(x.dim()))
    shape = [1 if axis in axes else n for axis, n in enumerate(x.shape) if keep or axis not in axes]
    return torch.empty(shape, dtype=_dtype(func, args, kwargs))


def _product(func: Any, args: Any, kwargs: Any) -> Tensor:
    """Products of matrices, or of stacks of them, with or without something added."""
    a, b = args[-2:]
    return torch.empty((*a.shape[:-1], b.shape[-1]), dtype=a.dtype)


def _joined(func: Any, args: Any, kwargs: Any) -> Tensor:
    parts, axis = args[0], args[1] if len(args) > 1 else 0
    shape = list(parts[0].shape)
    if func._overloadpacket is torch.ops.aten.stack:
        shape.insert(axis % (len(shape) + 1), len(parts))
    else:
        shape[axis] = sum(part.shape[axis] for part in parts)
    return torch.empty(shape, dtype=_dtype(func, args, kwargs))


def _chosen(func: Any, args: Any, kwargs: Any) -> Any:
    """Items by numbers along some axes; which ones a mask would choose, nobody can tell."""
    x, indices = args
    at = [axis for axis, index in enumerate(indices) if index is not None]
    if any(indices[axis].dtype in (torch.bool, torch.uint8) for axis in at):
        return NotImplemented
    many = np.broadcast_shapes(*(tuple(indices[axis].shape) for axis in at))
    rest = [n for axis, n in enumerate(x.shape) if axis not in at]
    first = at[0] if at == list(range(at[0], at[-1] + 1)) else 0
    return torch.empty((*rest[:first], *many, *rest[first:]), dtype=x.dtype)


def _convolved(func: Any, args: Any, kwargs: Any) -> Any:
    x, weight, _, stride, padding, dilation, transposed = args[:7]
    if transposed or x.dim() != weight.dim():
        return NotImplemented
    sides = [
        (n + 2 * pad - spread * (side - 1) - 1) // step + 1
        for n, side, step, pad, spread in zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    ]
    return torch.empty((x.shape[0], weight.shape[0], *sides), dtype=x.dtype)


def _convolved_back(func: Any, args: Any, kwargs: Any) -> Any:
    gradient, x, weight, _, *_, wanted = args
    parts = (x.shape, weight.shape, (gradient.shape[1],))
    return tuple(torch.empty(shape, dtype=x.dtype) if want else None for shape, want in zip(parts, wanted, strict=True))


def _normed(func: Any, args: Any, kwargs: Any) -> Any:
    x, over = args[0], len(args[1])
    level = (*x.shape[: x.dim() - over], *(1,) * over)
    return torch.empty(x.shape, dtype=x.dtype), *(torch.empty(level, dtype=torch.float32) for _ in range(2))


def _normed_back(func: Any, args: Any, kwargs: Any) -> Any:
    wanted = args[-1]
    parts = (args[1], args[5], args[6])
    return tuple(
        None if part is None or not want else torch.empty(part.shape, dtype=part.dtype)
        for part, want in zip(parts, wanted, strict=True)
    )


def _normed_in_groups(func: Any, args: Any, kwargs: Any) -> Any:
    x, _, _, n, _, _, groups, _ = args
    return torch.empty(x.shape, dtype=x.dtype), *(torch.empty((n, groups), dtype=x.dtype) for _ in range(2))


def _attended(func: Any, args: Any, kwargs: Any) -> Any:
    q = args[0]
    b, heads, tokens, _ = q.shape
    kept = torch.float64 if q.dtype == torch.float64 else torch.float32
    return torch.empty_like(q), torch.empty((b, tokens, heads), dtype=kept).transpose(1, 2)


def _attended_back(func: Any, args: Any, kwargs: Any) -> Any:
    return tuple(torch.empty(t.transpose(1, 2).shape, dtype=t.dtype).transpose(1, 2) for t in args[1:4])


def _shape_of(shape: Callable[..., Shape]) -> Callable[..., Tensor]:
    """Return a rule for what has the dtype of its first argument, from one for its shape."""
    return lambda func, args, kwargs: torch.empty(shape(*args), dtype=args[0].dtype)


def _padded(x: Tensor, pad: Shape, value: float = 0.0) -> Shape:
    ends = [sum(pad[2 * i : 2 * i + 2]) for i in range(len(pad) // 2)][::-1]
    return [n + more for n, more in zip(x.shape, [0] * (x.dim() - len(ends)) + ends, strict=True)]


def _repeated(x: Tensor, times: Shape) -> Shape:
    return [n * k for n, k in zip((1,) * (len(times) - x.dim()) + tuple(x.shape), times, strict=True)]


def _done(func: Any, args: Any, kwargs: Any) -> Any:
    """Small tensors that are made for real, and choices that depend on shapes alone."""
    return func(*args, **kwargs)


def _made(func: Any, args: Any, kwargs: Any) -> Tensor:
    return torch.empty(args[0], dtype=kwargs.get("dtype"))


RULES: dict[str, Callable[[Any, Any, Any], Any]] = {
    **dict.fromkeys(("_softmax", "_softmax_backward_data", "clone"), _alike),
    **dict.fromkeys(("empty_like", "full_like", "ones_like", "zeros_like", "rand_like", "randn_like"), _alike),
    **dict.fromkeys(("sum", "mean"), _reduced),
    **dict.fromkeys(("mm", "bmm", "addmm", "baddbmm"), _product),
    **dict.fromkeys(("cat", "stack"), _joined),
    **dict.fromkeys(("zeros", "ones", "empty"), _made),
    **dict.fromkeys(("arange", "scalar_tensor", "_fused_sdp_choice"), _done),
    "index": _chosen,
    "convolution": _convolved,
    "convolution_backward": _convolved_back,
    "native_layer_norm": _normed,
    "native_layer_norm_backward": _normed_back,
    "native_group_norm": _normed_in_groups,
    "_scaled_dot_product_flash_attention_for_cpu": _attended,
    "_scaled_dot_product_flash_attention_for_cpu_backward": _attended_back,
    "constant_pad_nd": _shape_of(_padded),
    "repeat": _shape_of(_repeated),
    "slice_backward": _shape_of(lambda gradient, sizes, *where: sizes),
    "select_backward": _shape_of(lambda gradient, sizes, *where: sizes),
    "pixel_shuffle": _shape_of(lambda x, r: (*x.shape[:-3], x.shape[-3] // r**2, x.shape[-2] * r, x.shape[-1] * r)),
    "pixel_unshuffle": _shape_of(lambda x, r: (*x.shape[:-3], x.shape[-3] * r**2, x.shape[-2] // r, x.shape[-1] // r)),
}
"""By name."""
