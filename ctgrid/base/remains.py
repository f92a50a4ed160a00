"""Temporary names that tell whose they are, so that what a killed process left can be told from a living one's."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

_SCRATCH = "ctgrid-"


def hidden_name(path: Path, suffix: str) -> Path:
    """Return a new temporary name beside a path, which tells whose it is.

    Args:
        path: A file to be.
        suffix: What its name ends in; kept.
    """
    stem = path.name[: len(path.name) - len(suffix)]
    return path.with_name(f".{stem[:80]}-{_token()}{path.name[len(stem) :]}")


def remove_remains(path: Path, suffix: str) -> None:
    """Remove what processes of this machine that were killed left under temporary names of a file.

    Args:
        path: The file, as it was given to :func:`hidden_name`.
        suffix: Likewise.
    """
    stem = path.name[: len(path.name) - len(suffix)]
    for left in _left(path.parent, f".{stem[:80]}-", path.name[len(stem) :]):
        left.unlink(missing_ok=True)


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a new folder for temporary files, removed when the block ends.

    What killed processes of this user left of theirs on this machine is removed first.
    """
    top = Path(tempfile.gettempdir())
    for left in _left(top, _SCRATCH, ""):
        if left.is_dir() and not left.is_symlink():  # another user's cannot be removed
            shutil.rmtree(left, ignore_errors=True)
    folder = top / f"{_SCRATCH}{_token()}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _left(folder: Path, start: str, end: str) -> list[Path]:
    """Return what is named by :func:`_token` for a process of this machine that is no more."""
    found = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if not (name.startswith(start) and name.endswith(end)):
                continue
            token = name[len(start) : len(name) - len(end)]
            whole = re.fullmatch("[0-9a-f]{24}", token) and token.startswith(_here())
            if whole and not _alive(int(token[8:16], 16)):
                found.append(Path(entry.path))
    return found


def _token() -> str:
    return f"{_here()}{os.getpid():08x}{secrets.token_hex(4)}"


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


@cache
def _here() -> str:
    """Return 8 digits that stand for this machine since it was started, and for this container."""
    facts = [platform.node()]
    with suppress(OSError):
        facts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
    with suppress(OSError):
        facts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()[:8]
