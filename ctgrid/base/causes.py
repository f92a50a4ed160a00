"""What an exception of another library really says: too little memory, a full disk, a file that is none."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctgrid.base.errors import CtgridError, reason_of

_MEMORY = re.compile(
    r"out of memory|not enough memory|bad_alloc|bad allocation|alloc_failed|can't start new thread"
    r"|(?:cannot|can't|unable to|failed to|could not) allocate"
    r"|allocat\w+ (?:has )?failed|failed allocat",
    re.IGNORECASE,
)
"""How torch's allocators, CUDA's libraries, ITK, zlib and C++ say it."""

_SYSTEM = re.compile(r"os error (\d+)")
"""How libraries written in Rust name the system's error."""


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those that it came from, the latest first.

    Args:
        error: Any exception.
    """
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or at.__context__


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception, or one that it came from, says that memory was too little.

    torch is not imported for it. What ctgrid says itself is taken at its word.

    Args:
        error: Any exception.
    """
    for one in chain(error):
        if isinstance(one, MemoryError) or type(one).__name__ == "OutOfMemoryError":
            return True
        if isinstance(one, CtgridError):
            return False
        if isinstance(one, OSError) and one.errno is not None:
            return one.errno == errno.ENOMEM
        if isinstance(one, Exception) and _MEMORY.search(str(one)[:2000]):
            return True
    return False


DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
"""The system's reasons why what was opened for writing could not be written."""


def system_error(error: BaseException) -> OSError | None:
    """Return the system's refusal that an exception came from, such as a full disk; None where there is none.

    Args:
        error: Any exception, such as torch's after a stream that it wrote to had failed.
    """
    for one in chain(error):
        if isinstance(one, OSError) and one.errno is not None:
            return one
        if isinstance(one, OSError) and re.search(r"\d+ requested and \d+ written", str(one)):
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # NumPy keeps the number to itself
        if isinstance(one, Exception) and (number := _SYSTEM.search(str(one)[:2000])):
            return OSError(int(number[1]), os.strerror(int(number[1])))
    return None


@contextmanager
def reading(path: str | os.PathLike[str], what: str = "a file that can be read", remedy: str = "") -> Iterator[None]:
    """Turn whatever a reader raises over a file that a user hands in into one line that names the file.

    Args:
        path: The file.
        what: What it should be, for the message: ``PATH is not WHAT: reason``.
        remedy: What to do about it.

    Raises:
        CtgridError: For any exception of another library.
        MemoryError: Where memory was too little, which is no fault of the file.
    """
    try:
        yield
    except (CtgridError, MemoryError):
        raise
    except Exception as error:
        if out_of_memory(error):
            raise MemoryError(f"not enough memory to read {path}") from error
        end = f"; {remedy}" if remedy else ""
        refused = error if isinstance(error, OSError) else None
        if refused is not None and refused.errno is not None:
            raise CtgridError(f"cannot read {path}: {refused.strerror or refused}{end}") from error
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else reason_of(error)
        raise CtgridError(f"{path} is not {what}: {reason}{end}") from error


def check_regular(path: Path) -> None:
    """Refuse what is there but is no file: reading a pipe or a device would wait, perhaps for ever.

    Args:
        path: Any path; what is not there is left to the reader.

    Raises:
        CtgridError: It is a folder, a pipe, a socket or a device.
    """
    with reading(path):
        if path.is_dir():
            raise CtgridError(f"cannot read {path}: it is a folder, not a file")
        if path.exists() and not path.is_file():
            raise CtgridError(f"cannot read {path}: it is no regular file (a pipe, a socket or a device)")
