"""Operations that are not done: tensors of the right size whose memory nobody touches, so that it is never given.

torch's own tensors without data (``FakeTensorMode``) do the same, and take seconds to import; so do its rules of shapes
(on the device ``meta``), which are asked only for what :mod:`ctgrid.methods.training.shapes` cannot tell.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_map, tree_map_only

from ctgrid.methods.training.shapes import told

META = torch.device("meta")


def untouched(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what an operation would, without doing it; views and results in place are those of its arguments.

    Args:
        func: an operation of ``torch.ops``, as a dispatch mode is given it.
        args: of it.
        kwargs: likewise.
    """
    about = _about(func)
    if about.done:
        return func(*args, **kwargs)
    if about.written:
        written = [args[i] if i < len(args) else kwargs.get(name) for i, name in about.written]
        return _one_or_all(written[: about.returned])
    if func is torch.ops.aten._unsafe_view.default:  # a view that says it is none
        return args[0].view(args[1])
    result = told(func, args, kwargs)
    return _by_torch(func, args, kwargs) if result is NotImplemented else result


class _About(NamedTuple):
    """What an operation's schema says, which takes longer to ask than the operation.

    Attributes:
        done: what it returns is a view, so it is done.
        written: place and name of the arguments that it writes into.
        returned: how many values it returns.
    """

    done: bool
    written: tuple[tuple[int, str], ...]
    returned: int


@cache
def _about(func: Any) -> _About:
    schema = func._schema
    written = tuple(
        (i, a.name) for i, a in enumerate(schema.arguments) if a.alias_info is not None and a.alias_info.is_write
    )
    view = not written and any(value.alias_info is not None for value in schema.returns)
    return _About(view or torch.Tag.inplace_view in func.tags, written, len(schema.returns))


def _by_torch(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Ask torch's own rules, which work on twins of the arguments on the device ``meta``."""
    originals: dict[int, Tensor] = {}

    def without_data(tensor: Tensor) -> Tensor:
        twin = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=META)
        originals[twin.untyped_storage()._cdata] = tensor
        twins.append(twin)  # alive, so that no other storage has its address
        return twin

    def untouched_yet(twin: Tensor) -> Tensor:
        shared = originals.get(twin.untyped_storage()._cdata)
        if shared is not None:
            return shared.as_strided(twin.size(), twin.stride(), shared.storage_offset() + twin.storage_offset())
        return torch.empty_strided(twin.size(), twin.stride(), dtype=twin.dtype)

    twins: list[Tensor] = []
    there = {name: tree_map_only(Tensor, without_data, value) for name, value in kwargs.items()}
    if any(argument.name == "device" for argument in func._schema.arguments):
        there["device"] = META
    if there.get("generator") is not None:
        there["generator"] = None
    result = func(*tree_map_only(Tensor, without_data, args), **there)
    return tree_map(lambda value: untouched_yet(value) if isinstance(value, Tensor) else value, result)


def _one_or_all(values: list[Any]) -> Any:
    return None if not values else values[0] if len(values) == 1 else tuple(values)
