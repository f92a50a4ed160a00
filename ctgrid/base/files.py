"""Write files so that a reader never meets half of one."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ctgrid.base.causes import DISK, out_of_memory, system_error
from ctgrid.base.durable import settle, sync
from ctgrid.base.errors import CtgridError
from ctgrid.base.remains import hidden_name, remove_remains

_DOUBLE_SUFFIXES = (".nii.gz",)


def full_suffix(path: str | os.PathLike[str]) -> str:
    """Return the suffix in lower case, ``.nii.gz`` counting as one.

    Args:
        path: A file name or path.
    """
    name = Path(path).name.lower()
    return next((s for s in _DOUBLE_SUFFIXES if name.endswith(s)), Path(name).suffix)


def stem_of(path: str | os.PathLike[str]) -> str:
    """Return a file's name without its suffix, ``.nii.gz`` counting as one.

    Args:
        path: A file name or path.
    """
    name = Path(path).name
    return name[: len(name) - len(full_suffix(path))]


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
    with atomic_outputs([path], overwrite) as (temporary,):
        yield temporary


@contextmanager
def atomic_outputs(paths: Sequence[str | os.PathLike[str]], overwrite: bool = False) -> Iterator[list[Path]]:
    """Yield a temporary path beside each of several files that belong together; all get their names, or none does.

    What is renamed is on the disk by then, with the rights that the user's umask gives.

    Args:
        paths: The files to be written, that which stands for all last.
        overwrite: Whether files that are already there may be replaced.

    Raises:
        CtgridError: As :func:`atomic_output`.
    """  # noqa: DOC501
    targets = [check_output(path, overwrite) for path in paths]
    temporaries = [hidden_name(path, full_suffix(path)) for path in targets]
    kept: list[tuple[Path, Path | None]] = []  # what has its name by now, and what had it before
    at = targets[0]
    try:
        for path in targets:
            remove_remains(path, full_suffix(path))
        yield temporaries
        for at, temporary in zip(targets, temporaries, strict=True):
            if not temporary.exists():
                raise CtgridError(f"cannot write {at}: nothing was written")
            settle(temporary)
        for at, temporary in zip(targets, temporaries, strict=True):
            check_output(at, overwrite)
            before = None
            if len(targets) > 1 and at.exists():
                before = hidden_name(at, full_suffix(at))
                os.link(at, before)
            kept.append((at, before))
            temporary.replace(at)
        for folder in {path.parent for path in targets}:
            sync(folder)
    except BaseException as error:
        for path, before in kept:
            with suppress(OSError):
                if before is None:
                    path.unlink(missing_ok=True)
                else:
                    before.replace(path)
        if isinstance(error, Exception):
            raise refused(at, error) from error
        raise
    finally:
        for temporary in (*temporaries, *(before for _, before in kept if before is not None)):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a new temporary folder, and give it the name of ``folder`` on success, in place of what has that name.

    When the body fails, ``folder`` is as before. A kill between the two renames that replace a folder leaves the
    earlier one under a hidden name, from which :func:`recover_folder` takes it back, here at the next attempt.

    Args:
        folder: The folder to be; its parent is there.

    Raises:
        CtgridError: The system refuses to write.
    """  # noqa: DOC501
    recover_folder(folder)
    temporary = _new_name(folder)
    try:
        temporary.mkdir()
        yield temporary
        settle(temporary)
        replace_folder(temporary, folder)
    except Exception as error:
        raise refused(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(new: Path, folder: Path) -> None:
    """Give a complete folder the place of another, which is removed after.

    Args:
        new: The complete folder, on the same file system.
        folder: The place; see :func:`recover_folder`.

    Raises:
        OSError: The system refuses, with what was there in its place.
    """
    before = _old_name(folder)
    if folder.exists():
        shutil.rmtree(before, ignore_errors=True)
        folder.rename(before)
    try:
        new.rename(folder)
    except OSError:
        if before.exists():
            before.rename(folder)
        raise
    sync(folder.parent)
    shutil.rmtree(before, ignore_errors=True)


def recover_folder(folder: Path) -> None:
    """Put right what a kill inside :func:`atomic_folder` left of a folder.

    Args:
        folder: As it was given there; only one process at a time works on it.
    """
    shutil.rmtree(_new_name(folder), ignore_errors=True)
    before = _old_name(folder)
    if before.is_dir() and not folder.exists():
        before.rename(folder)
    shutil.rmtree(before, ignore_errors=True)


def refused(path: Path, error: Exception) -> Exception:
    """Return what to raise where a file could not be written: the system's reason, where an exception came from one.

    Args:
        path: The file.
        error: What its writer raised.
    """
    if isinstance(error, CtgridError) or out_of_memory(error):
        return error
    cause = system_error(error)
    if isinstance(error, OSError):
        cause = cause or error
    elif cause is None or cause.errno not in DISK:
        return error
    other = cause.filename is not None and Path(os.fsdecode(cause.filename)).parent != path.parent
    return CtgridError(f"cannot write {path}: {cause.strerror or cause}{f' ({cause.filename})' if other else ''}")


def _new_name(folder: Path) -> Path:
    return folder.with_name(f".{folder.name[:200]}.new")


def _old_name(folder: Path) -> Path:
    return folder.with_name(f".{folder.name[:200]}.old")


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
