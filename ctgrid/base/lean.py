"""Start sooner: without torch's compiler, and without the collector while importing."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_COMPILER = "torch._dynamo"


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
    """Import without the collector of cycles, which goes through all that imports make, a sixth of their time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _as_it_is(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Stand for ``torch._dynamo.disable``."""
    return function


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Stand for ``torch._dynamo.graph_break``."""
