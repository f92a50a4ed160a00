"""Start sooner: without torch's compiler, which torch's optimizers ask for and can do without."""

from __future__ import annotations

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


def _as_it_is(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Stand for ``torch._dynamo.disable``."""
    return function


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Stand for ``torch._dynamo.graph_break``."""
