"""Write a store: whole volumes under a hidden name, renamed into place when they are complete."""

from __future__ import annotations

import errno
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.base.durable import settle, sync
from ctgrid.base.errors import CtgridError
from ctgrid.base.extras import require
from ctgrid.base.locks import held
from ctgrid.data.store.names import NODE, is_volume_name

if TYPE_CHECKING:
    import zarr

PARTIAL = ".partial"
_FILL = -32768  # below all HU: no slice is left out of its shard for holding nothing but the fill value
_AXES = ("z", "y", "x")
_OLD = "old"
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)


class CannotWrite(CtgridError):
    """The store cannot be written: a full disk, no permission. No fault of the scan, and no use in going on."""


def create_root(path: Path, attributes: Mapping[str, Any]) -> None:
    """Make the folder of an empty store, complete or not at all.

    Args:
        path: A folder that does not exist, or an empty one.
        attributes: The root group's attributes.

    Raises:
        CtgridError: The path is taken, its parent is missing, or it cannot be written.
    """
    zarr = require("zarr")
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise CtgridError(f"{path} exists and is not an empty folder; choose another name for the store")
    if not path.parent.is_dir():
        raise CtgridError(f"cannot write {path}: folder {path.parent} does not exist; create it first")
    temporary = path.with_name(f".{path.name}.new")  # one name: what a kill leaves, the next run uses up
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        zarr.create_group(temporary, zarr_format=3, attributes=dict(attributes))
        settle(temporary)
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        raise CtgridError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_volume(
    store: Path,
    name: str,
    slices: np.ndarray,
    coarse: np.ndarray,
    record: Mapping[str, Any],
    overwrite: bool = False,
) -> bool:
    """Add a volume to a store: both arrays and the record, or nothing.

    Two writers of one name do no harm: the first to finish wins, the other's work is dropped.

    Args:
        store: The store's folder.
        name: The volume's name.
        slices: (n, S, S) int16 HU.
        coarse: (n, S/k, S/k) int16 HU.
        record: JSON-able; becomes the group's attributes.
        overwrite: Replace a volume of that name.

    Returns:
        Whether this call put the volume there; False where it was there already.

    Raises:
        CannotWrite: The disk is full, or the store cannot be written.
        CtgridError: The name cannot be used.
    """
    if not is_volume_name(name):
        raise CtgridError(f"{name!r} cannot name a volume in a store; rename the input")
    for label, array in (("slices", slices), ("coarse", coarse)):
        if array.dtype != np.int16 or array.ndim != 3:
            raise CtgridError(f"{label} of {name} are (n, h, w) int16 HU in a store, got {array.shape} {array.dtype}")
    target = store / name
    try:
        with workspace(store) as folder:
            _write_group(folder / "new", slices, coarse, record)
            return put(folder, target, overwrite)
    except OSError as error:
        raise CannotWrite(f"cannot write {target}: {error.strerror or error}") from error


@contextmanager
def workspace(store: Path) -> Iterator[Path]:
    """Yield a new hidden folder inside a store, marked as in use while the block runs, and remove it after.

    Args:
        store: The store's folder.

    Raises:
        OSError: The folder cannot be made.
    """
    partial = store / PARTIAL
    folder = partial / secrets.token_hex(8)
    with ExitStack() as stack:
        stack.callback(_tidy, partial)
        while True:
            partial.mkdir(exist_ok=True)
            with suppress(FileNotFoundError):  # another writer, done, has tidied the parent away: again
                stack.enter_context(held(_lock_of(folder)))
                break
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.mkdir()
        yield folder


def put(workspace: Path, target: Path, overwrite: bool) -> bool:
    """Give a workspace's complete folder ``new`` its place in the store.

    A kill between the two renames that replace a folder leaves the earlier one in the workspace, from where
    :func:`remove_stale` takes it back.

    Args:
        workspace: See :func:`workspace`.
        target: The place, below the store's folder.
        overwrite: Replace what is there.

    Returns:
        Whether it was put there; False where another is there.

    Raises:
        OSError: The system refuses.
    """
    settle(workspace / "new")
    if overwrite and target.exists():
        old = workspace / _OLD / target.relative_to(workspace.parents[1])
        old.parent.mkdir(parents=True)
        target.rename(old)
    done = _put(workspace / "new", target)
    sync(target.parent)
    return done


def remove_stale(store: Path) -> int:
    """Remove what killed writers left behind; work of living ones, here or on other machines, stays.

    A volume that such a writer had moved away, and not yet replaced, gets its place again.

    Args:
        store: The store's folder.

    Returns:
        How many workspaces were removed.
    """
    partial = store / PARTIAL
    removed = 0
    for entry in sorted(partial.iterdir()) if partial.is_dir() else []:
        with held(_lock_of(entry)) as free:  # a writer locks first and makes its folder then
            if free and entry.is_dir():
                _take_back(entry / _OLD, store)
                shutil.rmtree(entry, ignore_errors=True)
                removed += 1
    _tidy(partial)
    return removed


def _take_back(old: Path, store: Path) -> None:
    """Give what lies in a workspace as replaced its place, where nothing has taken it."""
    for node in sorted(old.rglob(NODE), key=lambda node: len(node.parts))[:1]:  # what lies deeper belongs to it
        target = store / node.parent.relative_to(old)
        if target.parent.is_dir() and not target.exists():
            node.parent.rename(target)


def _lock_of(folder: Path) -> Path:
    return folder.with_suffix(".lock")


def _tidy(partial: Path) -> None:
    """Remove the folder of workspaces once it is empty."""
    with suppress(OSError):
        partial.rmdir()


def _put(group: Path, target: Path) -> bool:
    """Rename a complete group into its place; False where one is there."""
    try:
        group.rename(target)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        return False
    return True


def _write_group(group: Path, slices: np.ndarray, coarse: np.ndarray, record: Mapping[str, Any]) -> None:
    root = require("zarr").create_group(group, zarr_format=3, attributes=dict(record))
    for name, array in (("slices", slices), ("coarse", coarse)):
        write_shard(root, name, array, fill_value=_FILL, dimension_names=_AXES, attributes={"units": "HU"})


def write_shard(
    group: zarr.Group,
    name: str,
    array: np.ndarray,
    *,
    fill_value: float,
    dimension_names: Sequence[str],
    attributes: dict[str, Any] | None = None,
) -> None:
    """Write an array as one shard: its slices compressed one by one without loss, each with a checksum.

    Args:
        group: Where the array goes.
        name: Of the array.
        array: (n, ...), slices along its first axis.
        fill_value: A value that no slice consists of, or the slice would be left out of its shard.
        dimension_names: Of the axes.
        attributes: Of the array.
    """
    codecs = require("zarr.codecs")
    target = group.create_array(
        name,
        shape=array.shape,
        dtype=array.dtype,
        chunks=(1, *array.shape[1:]),
        shards=array.shape,
        compressors=[codecs.BloscCodec(cname="zstd", clevel=1, shuffle="shuffle"), codecs.Crc32cCodec()],
        fill_value=fill_value,
        attributes=attributes,
        dimension_names=dimension_names,
    )
    target[...] = array
