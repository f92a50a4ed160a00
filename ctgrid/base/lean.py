"""Start and end sooner: without torch's compiler, the collector where it is of no use, threads that wait busily."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

_COMPILER = "torch._dynamo"

WAITING = "OMP_WAIT_POLICY"
"""The variable by which OpenMP is told how threads wait."""


@contextmanager
def without_compiler() -> Iterator[None]:
    """Use optimizers without importing the compiler, which they would, for seconds, to keep it away from themselves.

    Nothing is done where it is loaded already.
    """
    if _COMPILER in sys.modules:
        yield
        return
    sys.modules[_COMPILER] = stand_in = ModuleType(_COMPILER)
    vars(stand_in).update(disable=_as_it_is, graph_break=_nothing)
    try:
        yield
    finally:
        del sys.modules[_COMPILER]


@contextmanager
def uncollected() -> Iterator[None]:
    """Import without the collector of cycles, which goes through all that imports make, a sixth of their time.

    Where torch is loaded inside, what is there then stays, and the collector never looks at it.
    """
    before, torch_was_there = gc.isenabled(), "torch" in sys.modules
    gc.disable()
    try:
        yield
    finally:
        if not torch_was_there and "torch" in sys.modules:
            gc.freeze()
        if before:
            gc.enable()


@cache
def leave_at_once() -> None:
    """Let this process end without the collector, which at the end goes through all modules again, half a second.

    Memory goes with the process. What has to be done before it ends is done by then: this is called last.
    """
    atexit.register(gc.freeze)


@contextmanager
def patient_threads() -> Iterator[None]:
    """Import torch so that its threads sleep while they wait for each other, which they else do busily.

    Where other programs keep the processors busy, a thread waits long for one that does not run, and takes its time.
    Nothing is done where torch is loaded already, or where the user has chosen (``OMP_WAIT_POLICY``).
    """
    if "torch" in sys.modules or WAITING in os.environ:
        yield
        return
    os.environ[WAITING] = "PASSIVE"  # read when OpenMP is loaded, once
    try:
        yield
    finally:
        del os.environ[WAITING]


def _as_it_is(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Stand for ``torch._dynamo.disable``."""
    return function


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Stand for ``torch._dynamo.graph_break``."""
