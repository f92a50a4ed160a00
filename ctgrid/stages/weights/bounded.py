"""Build a network no larger than the weights that are to fill it, whatever its config says."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.nn.modules import module

from ctgrid.base.errors import CtgridError

_SLACK = 2  # of older layouts, which name some tensors otherwise
_ALWAYS = 64
_MODULES = 32  # to a tensor; those without weights, such as activations, are few


@contextmanager
def bounded_by(tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Stop where a network grows beyond some tensors: in their number, in that of their values, in modules.

    A config of a few bytes can ask for a billion layers, which takes hours even where no memory is given to them.

    Args:
        tensors: The weights.

    Raises:
        CtgridError: From inside the block, when a parameter too many is made.
    """
    room = {
        "tensors": _SLACK * len(tensors) + _ALWAYS,
        "values": _SLACK * sum(tensor.numel() for tensor in tensors.values()) + _ALWAYS,
        "modules": _MODULES * (len(tensors) + _ALWAYS),
    }
    here = threading.get_ident()

    def count(**used: int) -> None:
        for what, number in used.items():
            room[what] -= number
            if room[what] < 0:
                raise CtgridError(f"its config asks for a larger network than its {len(tensors)} tensors make")

    def parameter(_: Any, name: str, value: Any) -> None:
        if value is not None and threading.get_ident() == here:
            count(tensors=1, values=value.numel())

    def submodule(_: Any, name: str, value: Any) -> None:
        if threading.get_ident() == here:
            count(modules=1)

    hooks = [
        module.register_module_parameter_registration_hook(parameter),
        module.register_module_module_registration_hook(submodule),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
