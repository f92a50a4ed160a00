"""Where a pipeline runs and in which precision."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor

from ctgrid.errors import CtgridError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

Arrival = Callable[[], np.ndarray]
"""Waits for values that are on their way to the CPU."""


def choose_device(name: str) -> torch.device:
    """Return the device named, or for ``auto`` a GPU where there is one.

    Raises:
        CtgridError: where the device is unknown or not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise CtgridError(f"device {name!r} is unknown; use auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise CtgridError(f"device {name!r} is not supported; use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise CtgridError(f"device {name!r}: no such CUDA device is available here; use --device cpu or auto")
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the precision named, or for ``auto`` bfloat16 where the hardware multiplies in it.

    Raises:
        CtgridError: for an unknown name.
    """
    if name == "auto":
        if device.type == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        fast = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)()
        return torch.bfloat16 if device.type == "cpu" and fast else torch.float32
    if name not in DTYPES:
        raise CtgridError(f"dtype {name!r} is unknown; use auto, {', '.join(DTYPES)}")
    return DTYPES[name]


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Return the context in which networks compute in ``dtype`` with float32 weights."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype)


def to_host(values: Tensor) -> Arrival:
    """Send values to the CPU; from a GPU into pinned memory, while both sides go on working."""
    if values.device.type == "cpu":
        array = values.numpy()
        return lambda: array
    pinned = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    pinned.copy_(values, non_blocking=True)
    sent = torch.cuda.Event()
    sent.record()

    def wait() -> np.ndarray:
        sent.synchronize()
        return pinned.numpy()

    return wait


def check_compiler(device: torch.device) -> None:
    """Make sure that networks can be compiled here.

    Raises:
        CtgridError: where there is no C++ compiler, or no Triton for a GPU.
    """
    from importlib.util import find_spec

    if device.type == "cuda":
        if find_spec("triton") is None:
            raise CtgridError("compiling for a GPU needs the package triton; leave --compile out")
        return
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except Exception as error:  # torch has an exception of its own for it, under changing names
        raise CtgridError(
            "compiling needs a C++ compiler such as g++, and there is none; leave --compile out"
        ) from error
