"""Locks that die with their process: a kill -9 leaves none behind."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_BUSY = (errno.EWOULDBLOCK, errno.EACCES)


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold a lock for the length of a ``with`` block, without waiting for it.

    The lock is the system's own on an open file, so that it ends with the process. Where a file system or a
    platform has none, the block runs unlocked.

    Args:
        path: The lock file; made here and removed at the end.

    Yields:
        Whether the lock is ours; False while another process, or another block of this one, has it.

    Raises:
        OSError: The file cannot be made.
    """
    descriptor = _locked(path)
    if descriptor is None:
        yield False
        return
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)  # while it is still held: nobody can hold a file that is gone by then
        os.close(descriptor)


def _locked(path: Path) -> int | None:
    """Return the open and locked file, or None where another has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        try:
            if not lock(descriptor):
                os.close(descriptor)
                return None
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except FileNotFoundError:
            pass  # removed by its last holder just now: what we hold is no longer the file of that name
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def lock(file: int | IO[bytes], wait: bool = False) -> bool:
    """Lock an open file until it is closed, or its process ends however it does.

    Where a file system or a platform has no locks, the file counts as locked.

    Args:
        file: the file, or its descriptor.
        wait: until another lets go of it.

    Returns:
        Whether the lock is ours; False where another holds it and is not waited for.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        return error.errno not in _BUSY
    return True
