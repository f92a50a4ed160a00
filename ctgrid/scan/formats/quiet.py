"""Keep the libraries below from writing to stderr; what matters arrives as an exception."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.RLock()
_NOWHERE = logging.NullHandler()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence ITK's warnings, and what libjpeg, OpenJPEG and MetaIO print on damaged files.

    They write to file descriptor 2, which is pointed elsewhere meanwhile: wrap a single call, no more.
    """
    import SimpleITK as sitk

    with _LOCK:
        before = sitk.ProcessObject.GetGlobalWarningDisplay()
        sitk.ProcessObject.GlobalWarningDisplayOff()
        if sys.stderr is not None:
            sys.stderr.flush()
        kept = _pointed_away()
        try:
            yield
        finally:
            if kept is not None:
                os.dup2(kept, 2)
                os.close(kept)
            sitk.ProcessObject.SetGlobalWarningDisplay(before)


@contextmanager
def quiet_logger(name: str) -> Iterator[None]:
    """Let a library log nothing meanwhile, not even errors: those arrive as exceptions.

    Its level stays: to change it makes all loggers of the process forget what they know, at every slice.

    Args:
        name: Its logger's name; those below it are quiet too.
    """
    logger = logging.getLogger(name)
    before = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [_NOWHERE], False
    try:
        yield
    finally:
        logger.handlers, logger.propagate = before


def _pointed_away() -> int | None:
    """Point descriptor 2 at nothing; return a copy of what it was, or None where there is none."""
    try:
        kept = os.dup(2)
    except OSError:
        return None
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    os.close(nothing)
    return kept
