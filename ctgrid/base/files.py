"""Write files so that a reader never meets half of one."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ctgrid.base.errors import CtgridError

_DOUBLE_SUFFIXES = (".nii.gz",)


def full_suffix(path: str | os.PathLike[str]) -> str:
    """Return the suffix in lower case, ``.nii.gz`` counting as one.

    Args:
        path: A file name or path.
    """
    name = Path(path).name.lower()
    return next((s for s in _DOUBLE_SUFFIXES if name.endswith(s)), Path(name).suffix)


def check_output(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Make sure that ``path`` can be written, before any long work starts.

    Args:
        path: The file to be written.
        overwrite: Whether a file that is already there may be replaced.

    Raises:
        CtgridError: The parent folder is missing or not writable, ``path`` is a folder, or it
            exists and ``overwrite`` is false.
    """
    path = Path(path)
    parent = path.parent
    if not parent.exists():
        raise CtgridError(f"cannot write {path}: folder {parent} does not exist; create it first")
    if not parent.is_dir():
        raise CtgridError(f"cannot write {path}: {parent} is not a folder")
    if path.is_dir():
        raise CtgridError(f"cannot write {path}: it is a folder; name a file")
    if path.exists() and not overwrite:
        raise CtgridError(f"{path} exists; pass --overwrite to replace it")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise CtgridError(f"cannot write {path}: no permission to write in {parent}; name another place with --out")
    return path


def check_folder(path: Path) -> None:
    """Make sure that a folder is there or can be made in its parent.

    Raises:
        CtgridError: where a file has that name, or the parent is missing.
    """
    if path.exists() and not path.is_dir():
        raise CtgridError(f"cannot write into {path}: it is a file, not a folder")
    if not path.exists():
        check_output(path)


def check_suffix(path: Path, suffixes: tuple[str, ...], what: str) -> None:
    """Refuse a file name whose suffix does not say what will be written.

    Raises:
        CtgridError: with the suffixes that are possible.
    """
    if full_suffix(path) not in suffixes:
        raise CtgridError(f"cannot write {path}: {what} must end in {' or '.join(suffixes)}")


def check_apart(out: Path, inputs: Iterable[Path], *, replaces: bool = False) -> None:
    """Refuse an output by which an input would change.

    Args:
        out: file or folder to be written.
        inputs: files and folders that are read; those that are not there are left to their readers.
        replaces: whether all that a folder ``out`` holds would go.

    Raises:
        CtgridError: where ``out`` is an input, by whatever name, lies inside one, or would be replaced and holds one.
    """
    place, there = out.resolve(), out.exists()
    for path in inputs:
        if not path.exists():
            continue
        if there and out.samefile(path):
            raise CtgridError(f"{out} is the input; the input is never written to, choose another output")
        if path.is_dir() and place.is_relative_to(path.resolve()):
            raise CtgridError(f"{out} lies inside the input folder {path}; choose an output elsewhere")
        if replaces and out.is_dir() and path.resolve().is_relative_to(place):
            raise CtgridError(f"{out} holds the input {path}; it is not replaced, choose an output elsewhere")


def walk_folders(top: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield every folder from ``top`` down with the names of its folders and files, as :func:`os.walk`, sorted.

    Hidden names are left out. Links are followed, but each folder is entered once, and none that holds ``top``.
    Names taken out of the list of folders are not searched.

    Args:
        top: A folder.

    Raises:
        CtgridError: A folder cannot be read.
    """

    def fail(error: OSError) -> None:
        raise CtgridError(f"cannot search {error.filename or top}: {error.strerror or error}") from error

    seen = {_inode(above) for above in top.resolve().parents}
    for folder, folders, files in os.walk(top, followlinks=True, onerror=fail):
        here = Path(folder)
        if _inode(here) in seen:  # a link back up, or a second way to the same folder
            folders.clear()
            continue
        seen.add(_inode(here))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield here, folders, sorted(name for name in files if not name.startswith("."))


def _inode(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


@contextmanager
def atomic_output(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` and rename it over ``path`` on success.

    The temporary name keeps the suffix (``.nii.gz`` too), as writers choose their format by it.
    When the body fails, for whatever reason, the temporary file is removed and ``path`` is as before.

    Args:
        path: The file to be written.
        overwrite: Whether a file that is already there may be replaced.

    Raises:
        CtgridError: As :func:`check_output`, or the system refuses to write (a full disk, say).
    """
    path = check_output(path, overwrite)
    suffix = full_suffix(path)
    stem = path.name[: len(path.name) - len(suffix)]
    temporary = path.with_name(f".{stem[:80]}-{secrets.token_hex(6)}{path.name[len(stem) :]}")
    try:
        yield temporary
        if not temporary.exists():
            raise CtgridError(f"cannot write {path}: nothing was written")
        check_output(path, overwrite)
        temporary.replace(path)
    except OSError as error:
        raise CtgridError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits.

    Args:
        path: The file to read.

    Raises:
        CtgridError: The file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                digest.update(block)
    except OSError as error:
        raise CtgridError(f"cannot read {path}: {error.strerror or error}") from error
    return digest.hexdigest()
