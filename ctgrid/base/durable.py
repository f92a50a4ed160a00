"""Finished files on the disk, where a power cut finds them, with the rights that the user's umask gives."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path


def settle(path: Path) -> None:
    """Bring a finished file, or a folder with all in it, to the disk, with the rights that the user's umask gives.

    Args:
        path: What was written.

    Raises:
        OSError: The system refuses.
    """
    mask = _umask()
    if path.is_dir():
        for inner in path.iterdir():
            if not inner.is_symlink():
                settle(inner)
        path.chmod(0o777 & ~mask)
    else:
        path.chmod(0o666 & ~mask)  # some writers make files for their owner alone, or copy another file's rights
    sync(path)


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk.

    Args:
        path: A file or folder.

    Raises:
        OSError: The system refuses; that it cannot for folders, as some systems, is no matter.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        if path.is_dir():
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def _umask() -> int:
    """Return the process's umask, where the system tells it without a moment in which it is another."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return int(next(line for line in lines if line.startswith("Umask:")).split()[1], 8)
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
