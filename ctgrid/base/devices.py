"""Where networks compute; in which number format, :mod:`ctgrid.base.precision` says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from ctgrid.base.errors import CtgridError

CHOICES = "auto, cpu, cuda, cuda:N or mps"
"""What may be asked for; ``mps`` is the GPU of Apple's own processors."""

Arrival = Callable[[], np.ndarray]
"""Waits for values that are on their way to the CPU."""


def choose_device(name: str = "auto") -> torch.device:
    """Return the device named, or for ``auto`` a GPU where there is one.

    Raises:
        CtgridError: where the device is unknown or not there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise CtgridError(f"device {name!r} is unknown; use {CHOICES}") from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise CtgridError(f"device {name!r} is not supported; use {CHOICES}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise CtgridError(f"device {name!r}: no such CUDA device is available here; use --device cpu or auto")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise CtgridError(
            f"device {name!r}: no GPU of an Apple processor that PyTorch can use is here; use --device cpu or auto"
        )
    return device


@contextmanager
def repeatable(wanted: bool = True) -> Iterator[None]:
    """Compute so that the bytes do not depend on how many cores there are: one thread, and no kernel that varies.

    Sums over several threads are added up in another order than over one, and differ in the last bits.

    Args:
        wanted: False leaves all as it is.
    """
    if not wanted:
        yield
        return
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done what it was given; Python goes ahead of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def to_host(values: Tensor) -> Arrival:
    """Send values to the CPU; from a GPU into pinned memory, while both sides go on working."""
    if values.device.type != "cuda":
        array = values.cpu().numpy()
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
            "compiling needs a C++ compiler such as g++, and there is none; leave --compile out (in a recipe: "
            "optimisation.compile)"
        ) from error
