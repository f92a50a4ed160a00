"""Count the memory and the arithmetic of a training step without doing it: tensors without data, exact sizes."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ctgrid.methods.training.untouched import untouched


class Meter(TorchDispatchMode):
    """Follow the storages of all tensors that operations return, and their arithmetic, while the mode is on.

    Attributes:
        flops: floating point operations of products, convolutions and attention.
        live: bytes of the storages that are referenced now.
        peak: the most bytes at any time.
    """

    def __init__(self, work: bool = True) -> None:
        """Start at nothing.

        Args:
            work: do the operations; else tensors hold nothing, and take no memory.
        """
        super().__init__()
        self.work = work
        self.flops = self.live = self.peak = 0
        self._seen: dict[int, int] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:  # else torch imports its compiler, for seconds, to keep it away from here
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count its arithmetic and the storages of what it returns."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs) if self.work else untouched(func, args, kwargs)
        formula = formulas().get(func._overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **kwargs, out_val=result)
        for leaf in (result,) if isinstance(result, Tensor) else tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.follow(leaf)
        return result

    def follow(self, tensor: Tensor) -> None:
        """Count a tensor's storage, once, until nothing refers to it any more."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._seen:
            return
        self._seen[key] = size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._release, key)

    def _release(self, key: int) -> None:
        self.live -= self._seen.pop(key, 0)

    def restart(self) -> None:
        """Begin a new peak at what is live, and new arithmetic."""
        self.flops, self.peak = 0, self.live


@cache
def formulas() -> dict[Any, Callable[..., int]]:
    """Return torch's formulas of arithmetic, by operation, and those of attention's kernel on CPUs, which it lacks."""
    from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

    def forward(q: Tensor, k: Tensor, v: Tensor, *rest: Any, **more: Any) -> int:
        return int(sdpa_flop_count(q.shape, k.shape, v.shape))

    def backward(gradient: Tensor, q: Tensor, k: Tensor, v: Tensor, *rest: Any, **more: Any) -> int:
        return int(sdpa_backward_flop_count(gradient.shape, q.shape, k.shape, v.shape))

    kernels = torch.ops.aten
    return {
        **flop_registry,
        kernels._scaled_dot_product_flash_attention_for_cpu: forward,
        kernels._scaled_dot_product_flash_attention_for_cpu_backward: backward,
    }


@contextmanager
def imagined() -> Iterator[Meter]:
    """Make every tensor created inside one without data, and count their bytes."""
    with Meter(work=False) as meter:
        yield meter


def no_data(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors of the same shapes and dtypes, for use inside :func:`imagined`."""
    return {name: torch.zeros(value.shape, dtype=value.dtype) for name, value in batch.items()}
