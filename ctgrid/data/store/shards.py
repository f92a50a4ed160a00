"""Read rows of a stored array straight from its shard: some of many slices, in microseconds each.

Zarr reads the same arrays, at several milliseconds a request; training draws thousands of requests a minute. The
layout read here is the one :mod:`ctgrid.data.store.write` writes, as the Zarr v3 specification of the
``sharding_indexed`` codec describes it: compressed chunks, one for each row of the first axis, then an index of
(offset, bytes) pairs. An array in any other layout is left to Zarr.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.base.documents import json_of
from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.base.extras import require
from ctgrid.base.limits import check_bytes
from ctgrid.data.store.names import NODE

_CRC = 4  # bytes of a checksum, behind every chunk and behind the index
_MISSING = 2**64 - 1


@dataclass(frozen=True)
class Shard:
    """An array whose only shard holds one chunk for each row of the first axis.

    Attributes:
        path: The array's folder.
        shape: Of the whole array.
        dtype: Of its values.
        index: (n, 2) uint64: where each row's chunk begins in the file, and its bytes.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    index: np.ndarray

    @property
    def file(self) -> Path:
        """The shard itself."""
        return self.path.joinpath("c", *["0"] * len(self.shape))

    @classmethod
    def open(cls, path: Path) -> Shard:
        """Read an array's description and the shard's index.

        Args:
            path: The array's folder.

        Raises:
            CtgridError: There is no such array, or it is damaged, or in another layout.
        """  # noqa: DOC501
        meta = _metadata(path)
        try:
            shape, dtype = tuple(meta["shape"]), np.dtype(meta["data_type"]).newbyteorder("<")
            (sharding,) = meta["codecs"]
            inner = sharding["configuration"]
            usual = (
                sharding["name"] == "sharding_indexed"
                and tuple(meta["chunk_grid"]["configuration"]["chunk_shape"]) == shape
                and tuple(inner["chunk_shape"]) == (1, *shape[1:])
                and [codec["name"] for codec in inner["codecs"]] == ["bytes", "blosc", "crc32c"]
                and [codec["name"] for codec in inner["index_codecs"]] == ["bytes", "crc32c"]
                and inner.get("index_location", "end") == "end"
                and inner["codecs"][0].get("configuration", {}).get("endian", "little") == "little"
            )
            if not shape or not all(isinstance(n, int) and 0 < n < 2**31 for n in shape) or dtype.hasobject:
                raise ValueError(f"shape {shape}")
        except Exception as error:  # of a damaged description any part may be anything
            raise CtgridError(f"{path / NODE} is damaged: {reason_of(error)}; prepare the volume again") from error
        if not usual:
            raise CtgridError(f"{path} is not laid out as ctgrid writes it; prepare the volume again")
        check_bytes(math.prod(shape) * dtype.itemsize, f"{path}: its array takes")
        shard = cls(path, shape, dtype, np.empty((0, 2), np.uint64))
        size = 16 * shape[0]
        try:
            with shard.file.open("rb") as stream:
                stream.seek(-size - _CRC, os.SEEK_END)
                tail = stream.read()
        except OSError as error:
            raise shard.damaged(error.strerror or str(error)) from error
        if not _sound(tail):
            raise shard.damaged("the index's checksum is wrong")
        index = np.frombuffer(tail[:size], dtype="<u8").reshape(-1, 2)
        if (index == _MISSING).any():
            raise shard.damaged("slices are missing")
        return cls(path, shape, dtype, index)

    def read(self, rows: Sequence[int]) -> np.ndarray:
        """Return rows of the first axis, in the order asked for.

        Args:
            rows: Numbers in [0, n).

        Raises:
            CtgridError: A number outside, or a chunk whose checksum is wrong.
        """
        blosc = require("numcodecs.blosc")
        wanted = [int(row) for row in rows]
        if wanted and not 0 <= min(wanted) <= max(wanted) < self.shape[0]:
            raise CtgridError(
                f"{self.path} has rows 0 to {self.shape[0] - 1}; {min(wanted)} to {max(wanted)} were asked for"
            )
        out = np.empty((len(wanted), *self.shape[1:]), dtype=self.dtype)
        try:
            with self.file.open("rb") as stream:
                most = 2 * out[:1].nbytes + 1024  # bytes that a slice's chunk can have
                for place, row in enumerate(wanted):
                    offset, size = (int(n) for n in self.index[row])
                    if size > most or offset >= 2**63:
                        raise self.damaged(f"the place of slice {row} is wrong")
                    stream.seek(offset)
                    chunk = stream.read(size)
                    if len(chunk) != size or not _sound(chunk):
                        raise self.damaged(f"the checksum of slice {row} is wrong")
                    if int.from_bytes(chunk[4:8], "little") != out[place].nbytes:  # what blosc would unpack it to
                        raise self.damaged(f"slice {row} is of another size")
                    values = np.frombuffer(blosc.decompress(chunk[:-_CRC]), dtype=self.dtype)
                    out[place].reshape(-1)[...] = values
        except (OSError, RuntimeError, ValueError) as error:
            raise error if isinstance(error, CtgridError) else self.damaged(str(error)) from error
        return out

    def digest(self) -> str:
        """Return a hash over every row's size and checksum: other content, other hash, at the cost of a few reads."""
        state = sha256(repr((self.shape, self.dtype.str)).encode())
        state.update(np.ascontiguousarray(self.index[:, 1]).tobytes())
        try:
            with self.file.open("rb", buffering=0) as stream:
                for offset, size in self.index.tolist():
                    stream.seek(offset + size - _CRC)
                    state.update(stream.read(_CRC))
        except OSError as error:
            raise self.damaged(error.strerror or str(error)) from error
        return state.hexdigest()

    def damaged(self, reason: str) -> CtgridError:
        """Return the error that says so."""
        return CtgridError(f"{self.file} is damaged ({reason}); remove {self.path.parent} and prepare it again")


def _metadata(path: Path) -> dict[str, Any]:
    if not (path / NODE).exists():
        raise CtgridError(f"{path} is not there; prepare the volume again")
    content = json_of(path / NODE, "the description of an array (it is damaged)", "prepare the volume again")
    return content if isinstance(content, dict) else {}


def _sound(chunk: bytes) -> bool:
    """Tell whether the checksum at the end of some bytes is theirs."""
    checksum = require("google_crc32c").value
    return len(chunk) >= _CRC and checksum(chunk[:-_CRC]) == int.from_bytes(chunk[-_CRC:], "little")
