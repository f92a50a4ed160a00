"""Paths for ITK, which takes text alone: of a name that no text can hold it ends the whole process.

Where Python's file system encoding is ASCII, or a name's bytes are no UTF-8, such names hold surrogates. They get
a link with a plain name meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import full_suffix
from ctgrid.base.remains import hidden_name, remove_remains, scratch


@contextmanager
def itk_readable(path: Path, data: str | None = None) -> Iterator[str]:
    """Yield a name by which ITK can open a file, and those that belong to it.

    Args:
        path: The header, or the whole file.
        data: The name of its data as the header gives it; None or "LOCAL" where they are in the file itself.

    Raises:
        CtgridError: The data lie in several files, which cannot be linked by name.
    """
    if _is_text(path):
        yield str(path)
        return
    with _plain_folder(path) as folder:
        plain = folder / f"scan{full_suffix(path)}"
        plain.symlink_to(path.absolute())
        if data is not None and data.upper() != "LOCAL" and not Path(data).is_absolute():
            target = path.absolute().parent / data
            if not target.is_file() or ".." in Path(data).parts:
                raise CtgridError(f"{path}: its name and its data files cannot be given to ITK; rename it in ASCII")
            linked = folder / data
            linked.parent.mkdir(parents=True, exist_ok=True)
            linked.symlink_to(target)
        yield str(plain)


@contextmanager
def itk_writable(path: Path) -> Iterator[str]:
    """Yield a name under which ITK can write a file, which gets its own name afterwards.

    Args:
        path: Where the file is wanted.

    Raises:
        CtgridError: It cannot be written there.
    """
    if _is_text(path):
        yield str(path)
        return
    with _plain_folder(path) as folder:
        (folder / "out").symlink_to(path.absolute().parent)
        suffix = full_suffix(path)
        remove_remains(folder / "out" / f"ctgrid{suffix}", suffix)
        plain = hidden_name(folder / "out" / f"ctgrid{suffix}", suffix)
        try:
            yield str(plain)
            plain.replace(path)
        finally:
            plain.unlink(missing_ok=True)


@contextmanager
def _plain_folder(path: Path) -> Iterator[Path]:
    with scratch() as folder:
        if not _is_text(folder):
            raise CtgridError(f"{path}: its name cannot be given to ITK, nor can {folder}; set TMPDIR to an ASCII path")
        yield folder


def _is_text(path: Path) -> bool:
    """Tell whether a path has a form that ITK opens: text in UTF-8, of which Python and ITK make the same bytes."""
    try:
        return str(path).encode("utf-8") == os.fsencode(path)
    except UnicodeEncodeError:
        return False
