"""Reading shards directly: what Zarr reads, and damage that is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.data.store.shards import Shard


@pytest.fixture
def folder(make_store: Callable[..., Any], tmp_path: Path) -> Path:
    """One stored volume of 20 slices."""
    return make_store(tmp_path / "x.zarr", "a").path / "a"


@pytest.mark.parametrize("rows", [[0], [19, 3, 3, 7], range(20), []])
@pytest.mark.parametrize("name", ["slices", "coarse"])
def test_rows_are_those_that_zarr_reads(name: str, rows: list[int], folder: Path) -> None:
    """In the order asked for, repeated or not."""
    import zarr

    expected = np.asarray(zarr.open_array(folder / name, mode="r"))[list(rows)]
    read = Shard.open(folder / name).read(rows)
    assert read.dtype == np.int16 and np.array_equal(read, expected)


def test_the_digest_follows_the_content(make_store: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    """Equal slices, equal digest; one voxel more, another."""
    import zarr

    again = make_store(tmp_path / "y.zarr", "b").path / "b"
    before = Shard.open(folder / "slices").digest()
    assert before == Shard.open(again / "slices").digest() != Shard.open(folder / "coarse").digest()
    zarr.open_array(folder / "slices", mode="r+")[7, 3, 3] += 1
    assert Shard.open(folder / "slices").digest() != before


@pytest.mark.parametrize("rows", [[20], [-1], [0, 99]])
def test_rows_that_are_not_there_are_refused(rows: list[int], folder: Path) -> None:
    """Rather than read from elsewhere."""
    with pytest.raises(CtgridError, match="rows 0 to 19"):
        Shard.open(folder / "slices").read(rows)


def test_damage_is_named(folder: Path) -> None:
    """A flipped byte in a chunk or in the index, a shard cut short, none at all, another layout."""
    shard = Shard.open(folder / "slices")
    content = shard.file.read_bytes()

    def flipped(place: int) -> bytes:
        return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]

    shard.file.write_bytes(flipped(int(shard.index[4, 0]) + 20))
    assert np.array_equal(Shard.open(folder / "slices").read([3]), shard.read([3]))
    with pytest.raises(CtgridError, match="checksum of slice 4 is wrong"):
        Shard.open(folder / "slices").read([3, 4])
    for damaged in (flipped(len(content) - 30), content[: len(content) // 2], b""):
        shard.file.write_bytes(damaged)
        with pytest.raises(CtgridError, match=r"slices.*damaged"):
            Shard.open(folder / "slices")
    shard.file.unlink()
    with pytest.raises(CtgridError, match=r"slices.*damaged"):
        Shard.open(folder / "slices")
    node = folder / "coarse" / "zarr.json"
    node.write_text(node.read_text(encoding="utf-8").replace('"end"', '"start"'), encoding="utf-8")
    with pytest.raises(CtgridError, match="not laid out as ctgrid writes it"):
        Shard.open(folder / "coarse")
    with pytest.raises(CtgridError, match="is not there"):
        Shard.open(folder / "nothing")
