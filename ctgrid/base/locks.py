"""Locks that die with their process: a kill -9 leaves none behind."""

from __future__ import annotations

import errno
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ctgrid.base.documents import as_json
from ctgrid.base.errors import CtgridError, one_line
from ctgrid.base.links import open_through_no_link

_BUSY = (errno.EWOULDBLOCK, errno.EACCES)


@contextmanager
def owned(folder: Path, command: str) -> Iterator[None]:
    """Be the only command that writes into a folder, for the length of a ``with`` block.

    Args:
        folder: It need not exist; the lock lies beside it, or in it where its parent cannot be written.
        command: What is at work, for whoever comes second.

    Raises:
        CtgridError: Another command has it; the line names that one's process and machine.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 (the working folder may be removed meanwhile)
    path = folder.with_name(f".{folder.name[:200]}.lock")
    if folder.is_dir() and not os.access(folder.parent, os.W_OK | os.X_OK):
        path = folder / ".ctgrid.lock"
    holder = {"command": command, "process": os.getpid(), "machine": platform.node()}
    with _refusing(folder, path), held(path, holder) as mine:
        if not mine:
            raise CtgridError(f"{_named(path)} is at work on {folder}; wait for its end or stop it")
        yield


@contextmanager
def _refusing(folder: Path, path: Path) -> Iterator[None]:
    """Say in one line that a lock cannot be made."""
    try:
        yield
    except OSError as error:
        if error.filename is None or Path(os.fsdecode(error.filename)) != path:
            raise
        if isinstance(error, FileNotFoundError):
            raise CtgridError(f"cannot write {folder}: folder {path.parent} does not exist; create it first") from error
        raise CtgridError(f"cannot write {folder}: {error.strerror or error} in {path.parent}") from error


def _named(path: Path) -> str:
    """Return who holds a lock, as far as its file tells."""
    holder: Any = None
    with suppress(OSError, ValueError):
        holder = json.loads(path.read_text(encoding="utf-8", errors="replace")[:4096])
    if not isinstance(holder, dict):
        return "another ctgrid"
    command, process, machine = (one_line(str(holder.get(k, "?")))[:100] for k in ("command", "process", "machine"))
    return f"another ctgrid {command} (process {process} on {machine})"


@contextmanager
def held(path: Path, holder: dict[str, Any] | None = None) -> Iterator[bool]:
    """Hold a lock for the length of a ``with`` block, without waiting for it.

    The lock is the system's own on an open file, so that it ends with the process. Where a file system or a
    platform has none, the block runs unlocked.

    Args:
        path: The lock file; made here and removed at the end.
        holder: What the file tells of who holds it.

    Yields:
        Whether the lock is ours; False while another process, or another block of this one, has it.

    Raises:
        CtgridError: A link has its name.
        OSError: The file cannot be made.
    """
    descriptor = _locked(path)
    if descriptor is None:
        yield False
        return
    try:
        if holder is not None:
            with suppress(OSError):  # of a full disk, say: the lock holds all the same
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, as_json(holder).encode(), 0)
        yield True
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)  # while it is still held: nobody can hold a file that is gone by then
        os.close(descriptor)


def _locked(path: Path) -> int | None:
    """Return the open and locked file, or None where another has it."""
    while True:
        descriptor = open_through_no_link(path, os.O_RDWR | os.O_CREAT)
        try:
            if not lock(descriptor):
                os.close(descriptor)
                return None
            if os.path.samestat(os.fstat(descriptor), path.lstat()):
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
