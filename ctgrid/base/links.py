"""Open locks and files that grow, manifests and journals, without following a link that somebody put in their place."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ctgrid.base.errors import CtgridError


def no_follow(path: str, flags: int) -> int:
    """Open as :func:`os.open` does, except through a link; an ``opener`` for Python's own ``open``.

    Raises:
        OSError: It cannot be opened, or is a link (``ELOOP``).
    """
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0), 0o666)


def open_record(path: Path, mode: str, **how: Any) -> IO[Any]:
    """Open a record that other runs go on with.

    Args:
        path: The record's.
        mode: As of ``open``.
        how: Further arguments of ``open``.

    Raises:
        CtgridError: It is a link.
        OSError: It cannot be opened.
    """
    with _refusing_links(path, "records"):
        return open(path, mode, opener=no_follow, **how)


def open_through_no_link(path: Path, flags: int) -> int:
    """Return the descriptor of a lock's file.

    Args:
        path: The lock's.
        flags: As of :func:`os.open`.

    Raises:
        CtgridError: It is a link.
        OSError: It cannot be opened.
    """
    with _refusing_links(path, "locks"):
        return no_follow(os.fspath(path), flags)


@contextmanager
def _refusing_links(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ELOOP, getattr(errno, "EMLINK", errno.ELOOP)) and path.is_symlink():
            raise CtgridError(f"{path} is a link, and {what} are not followed through links; remove it") from error
        raise
