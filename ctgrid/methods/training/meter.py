"""Count the memory and the arithmetic of a training step without doing it: tensors without data, exact sizes."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class MemoryMeter(TorchDispatchMode):
    """Follow the storages of all tensors that operations return while the mode is on.

    Attributes:
        live: bytes of the storages that are referenced now.
        peak: the most bytes at any time.
    """

    def __init__(self) -> None:
        """Start at nothing."""
        super().__init__()
        self.live = self.peak = 0
        self._seen: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count the storages of what it returns."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
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

    def restart(self) -> int:
        """Return the peak and begin a new one at what is live."""
        peak, self.peak = self.peak, self.live
        return peak


def flop_counter() -> Any:
    """Return torch's counter of floating point operations, which does not know attention's kernel on CPUs by itself."""
    from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

    def forward(q: Any, k: Any, v: Any, *rest: Any, out_shape: Any = None, **more: Any) -> int:
        return int(sdpa_flop_count(q, k, v))

    def backward(gradient: Any, q: Any, k: Any, v: Any, *rest: Any, out_shape: Any = None, **more: Any) -> int:
        return int(sdpa_backward_flop_count(gradient, q, k, v))

    kernels = torch.ops.aten
    known = {
        kernels._scaled_dot_product_flash_attention_for_cpu: forward,
        kernels._scaled_dot_product_flash_attention_for_cpu_backward: backward,
    }
    return FlopCounterMode(display=False, custom_mapping=known)


@contextmanager
def imagined() -> Iterator[MemoryMeter]:
    """Make every tensor created inside one without data, and count their bytes."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    meter = MemoryMeter()
    with FakeTensorMode(allow_non_fake_inputs=True), meter:
        yield meter


def no_data(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors of the same shapes and dtypes, for use inside :func:`imagined`."""
    return {name: torch.zeros(value.shape, dtype=value.dtype) for name, value in batch.items()}
