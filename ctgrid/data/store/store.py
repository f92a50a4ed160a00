"""A training store: one Zarr v3 folder, one group for each volume, HU kept to the last bit.

::

    X.zarr/zarr.json            attributes {"ctgrid_store": 1, "settings": {...}}
    X.zarr/NAME/zarr.json       attributes: the volume's record (source, geometry, hu, protocol, inverse)
    X.zarr/NAME/slices/         (n, S, S) int16 HU, one shard: one file, each slice compressed by itself
    X.zarr/NAME/coarse/         (n, S/k, S/k) int16 HU, likewise

A volume is written under a hidden name and renamed: what is there is complete. Nothing in a store depends on
when, where or in which order it was written: the same inputs and settings give the same bytes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.base.causes import out_of_memory, reading
from ctgrid.base.documents import dict_of
from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.base.extras import require
from ctgrid.base.limits import check_bytes
from ctgrid.data.store.names import NODE, is_volume_name
from ctgrid.data.store.settings import StoreSettings

if TYPE_CHECKING:
    import zarr

    from ctgrid.scan.volume import Volume

FORMAT = 1
_MARK = "ctgrid_store"
_SHARD = ("c", "0", "0", "0")


def is_store(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path is a ctgrid store, of whatever version.

    Args:
        path: Any path.
    """
    return _MARK in _attributes(Path(path))


class Store:
    """A store that is there; the volumes in it are looked up anew at every question.

    Attributes:
        path: The store's folder.
        settings: What its volumes were made with.
    """

    def __init__(self, path: Path, settings: StoreSettings) -> None:
        """Hold what :meth:`create` or :meth:`open` found."""
        self.path = path
        self.settings = settings

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, {len(self)} volumes, {self.settings!r})"

    @classmethod
    def create(cls, path: str | os.PathLike[str], settings: StoreSettings) -> Store:
        """Make an empty store.

        Args:
            path: A folder that does not exist yet, or is empty.
            settings: What its volumes will be made with.

        Raises:
            CtgridError: The path is taken, or cannot be written.
        """
        from ctgrid.data.store.write import create_root

        create_root(Path(path), {_MARK: FORMAT, "settings": settings.as_dict()})
        return cls(Path(path), settings)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Store:
        """Open a store.

        Args:
            path: Its folder.

        Raises:
            CtgridError: It is not there, is not a ctgrid store, or was made by a newer ctgrid.
        """
        path = Path(path)
        if not path.exists():
            raise CtgridError(f"{path} does not exist; make a store with ctgrid prepare")
        attributes = _attributes(path)
        if _MARK not in attributes:
            raise CtgridError(f"{path} is not a ctgrid store; make one with ctgrid prepare")
        if attributes[_MARK] != FORMAT:
            raise CtgridError(f"{path} is a store of format {attributes[_MARK]}; this ctgrid reads format {FORMAT}")
        settings = attributes.get("settings")
        if not isinstance(settings, dict):
            raise CtgridError(f"{path / NODE} is damaged: it holds no settings")
        return cls(path, StoreSettings.checked(settings, str(path / NODE)))

    def names(self) -> list[str]:
        """Return the names of the complete volumes, sorted."""
        try:
            with os.scandir(self.path) as entries:
                return sorted(e.name for e in entries if not e.name.startswith(".") and e.is_dir())
        except OSError as error:
            raise CtgridError(f"cannot read the store {self.path}: {error.strerror or error}") from error

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and is_volume_name(name) and (self.path / name / NODE).is_file()

    def __len__(self) -> int:
        return len(self.names())

    def __iter__(self) -> Iterator[StoredVolume]:
        return (StoredVolume(self.path / name) for name in self.names())

    def volume(self, name: str) -> StoredVolume:
        """Return a volume by its name; arrays are opened when they are used.

        Args:
            name: As in :meth:`names`.

        Raises:
            CtgridError: The store has no such volume.
        """
        if name not in self:
            raise CtgridError(f"{self.path} has no volume {name!r}; ctgrid info lists those it has")
        return StoredVolume(self.path / name)


class StoredVolume:
    """One volume of a store. Cheap to make, to pickle and to hold by the thousand.

    Attributes:
        path: The volume's folder.
        name: Its name in the store.
    """

    def __init__(self, path: Path) -> None:
        """Name a volume's folder; nothing is read yet."""
        self.path = path
        self.name = path.name

    def __repr__(self) -> str:
        return f"StoredVolume({str(self.path)!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "name": self.name}

    @cached_property
    def record(self) -> dict[str, Any]:
        """Where the volume comes from and how it was made: source, geometry, hu, protocol, inverse.

        ``source``: name, bytes, sha256 of the input; ``geometry``: affine (x, y, z to RAS+ mm), shape and
        spacing_mm (z, y, x), orientation, all of the input, and stored_spacing_mm of the stored slices;
        ``hu``: how HU were found; ``protocol``: the settings; ``inverse``: the way back.
        """  # noqa: DOC501
        record = _attributes(self.path)
        what, remedy = "the record of a volume", f"it is damaged or missing; remove {self.path} and prepare it again"
        with reading(self.path / NODE, what, remedy):
            geometry, parts = record["geometry"], [record[key] for key in ("source", "hu", "inverse")]
            triples = [geometry[key] for key in ("shape", "spacing_mm") if key in geometry]
            sizes = np.asarray([geometry["stored_spacing_mm"], *triples], float)
            affine = np.asarray(geometry.get("affine", np.eye(4)), float)
            if sizes.shape[1:] != (3,) or affine.shape != (4, 4) or not (sizes > 0).all():
                raise ValueError("its geometry is none")
            if not np.isfinite(sizes).all() or not np.isfinite(affine).all():
                raise ValueError("its geometry is not finite")
            if not all(isinstance(part, dict) for part in parts):
                raise ValueError("source, hu or inverse is no object")
        return record

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n, S, S) of the stored slices."""
        n, height, width = self.slices.shape
        return n, height, width

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Spacing (z, y, x) in mm of the stored slices: between slices, rows and columns."""
        z, y, x = self.record["geometry"]["stored_spacing_mm"]
        return z, y, x

    @property
    def orientation(self) -> str:
        """How the stored slices lie in the patient: axis codes of (columns, rows, slices), such as "LPS"."""
        from ctgrid.scan.protocols.protocols import orientation_of

        return orientation_of(self.record["inverse"])

    @cached_property
    def slices(self) -> zarr.Array:
        """The full-size slices, (n, S, S) int16 HU, opened for reading."""
        return self._open("slices")

    @cached_property
    def coarse(self) -> zarr.Array:
        """The coarse slices, (n, S/k, S/k) int16 HU, opened for reading."""
        return self._open("coarse")

    def read_slices(self, index: Any = slice(None)) -> np.ndarray:
        """Read full-size slices.

        Args:
            index: A slice, or a sequence of slice numbers in any order; an int gives one slice, kept as (1, S, S).

        Returns:
            (m, S, S) int16 HU.

        Raises:
            CtgridError: A number outside the volume, or a damaged file.
        """
        return self._read(self.slices, index)

    def read_coarse(self, index: Any = slice(None)) -> np.ndarray:
        """Read coarse slices; as :meth:`read_slices`.

        Args:
            index: A slice, a sequence of slice numbers, or an int.

        Returns:
            (m, S/k, S/k) int16 HU.
        """
        return self._read(self.coarse, index)

    def to_volume(self, array: np.ndarray | None = None) -> Volume:
        """Put slices back onto the patient's own grid.

        Args:
            array: (n, S, S) in HU, such as a network's output for this volume; None takes the stored slices.

        Raises:
            CtgridError: The array's shape is not that of the stored slices.
        """
        from ctgrid.data.store.inverse import put_back

        hu = self.read_slices() if array is None else np.asarray(array)
        if hu.shape != self.shape:
            raise CtgridError(f"array of shape {hu.shape} does not fit {self.path}, which holds {self.shape}")
        with reading(self.path / NODE, "the record of this volume", f"remove {self.path} and prepare it again"):
            return put_back(hu, self.record)

    def _open(self, name: str) -> zarr.Array:
        zarr = require("zarr")
        path = self.path / name
        if not path.joinpath(*_SHARD).is_file():  # Zarr would read it as empty slices
            raise CtgridError(f"{path} is incomplete; remove {self.path} and prepare it again")
        try:
            array = zarr.open_array(path, mode="r", zarr_format=3)
            if array.ndim != 3 or array.dtype.kind not in "iuf" or min(array.shape) < 1:
                raise ValueError(f"{array.shape} {array.dtype} is no volume")
        except Exception as error:  # of a damaged description Zarr raises almost anything
            if out_of_memory(error):
                raise
            raise CtgridError(
                f"{path} is damaged ({reason_of(error)}); remove {self.path} and prepare it again"
            ) from error
        chunk = max(math.prod(array.chunks), math.prod(array.shards or ())) * array.dtype.itemsize
        check_bytes(max(array.nbytes, chunk), f"{path}: its array or one of its chunks takes")
        return array

    def _read(self, array: zarr.Array, index: Any) -> np.ndarray:
        n = array.shape[0]
        if isinstance(index, slice) and index.step is not None and index.step < 0:
            index = range(n)[index]
        if not isinstance(index, slice):
            index = np.atleast_1d(np.asarray(index))
            if index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
                raise CtgridError(f"slices are chosen by whole numbers, got {index!r}")
            if index.size == 0:
                return np.empty((0, *array.shape[1:]), dtype=array.dtype)
            if index.min() < -n or index.max() >= n:
                raise CtgridError(f"{self.path} has slices 0 to {n - 1}; {index.min()} to {index.max()} were asked for")
            wanted, place = np.unique(index % n, return_inverse=True)
            return self._guarded(array, wanted)[place]
        return self._guarded(array, index)

    def _guarded(self, array: zarr.Array, index: slice | np.ndarray) -> np.ndarray:
        try:
            return np.asarray(array[index] if isinstance(index, slice) else array.oindex[index])
        except Exception as error:
            if out_of_memory(error):
                raise
            raise CtgridError(f"{self.path} is damaged ({reason_of(error)}); remove it and prepare it again") from error


def _attributes(path: Path) -> dict[str, Any]:
    """Return the attributes of a Zarr group, read as plain JSON; none where there is no group."""
    attributes = dict_of(path / NODE).get("attributes")
    return attributes if isinstance(attributes, dict) else {}
