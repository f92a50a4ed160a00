"""Stores that claim more than they hold: refused before anything of that size is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid import CtgridError, Volume
from ctgrid.base.limits import VARIABLE, check_zip
from ctgrid.data.store import Store
from ctgrid.data.store.inverse import put_back
from ctgrid.data.store.shards import Shard
from ctgrid.scan.protocols.canonical import to_canonical


@pytest.fixture
def claiming(make_store: Callable[..., Any], tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of a volume's folder whose array claims another shape."""

    def make(**changes: Any) -> Path:
        volume: Path = make_store(tmp_path / "s.zarr", "a").path / "a"
        node = next(volume.glob("*/zarr.json"))
        content = json.loads(node.read_text())
        content["shape"] = content["chunk_grid"]["configuration"]["chunk_shape"] = changes["shape"]
        inner = content["codecs"][0]["configuration"]
        inner["chunk_shape"] = [1, *changes["shape"][1:]]
        node.write_text(json.dumps(content))
        return node.parent

    return make


def test_an_array_of_terabytes(claiming: Callable[..., Path]) -> None:
    array = claiming(shape=[20, 500_000, 500_000])
    volume = Store.open(array.parent.parent).volume(array.parent.name)
    for ask in (lambda: getattr(volume, array.name), lambda: Shard.open(array)):
        with pytest.raises(CtgridError, match="limit"):
            ask()


def test_a_chunk_that_unpacks_to_another_size(make_store: Callable[..., Any], tmp_path: Path) -> None:
    import google_crc32c
    from numcodecs import blosc

    array = next((make_store(tmp_path / "s.zarr", "a").path / "a").glob("*/zarr.json")).parent
    shard = Shard.open(array)
    bomb = blosc.compress(bytes(50 << 20), b"zstd", 9)
    bomb += int(google_crc32c.value(bomb)).to_bytes(4, "little")
    content = bytearray(shard.file.read_bytes())
    at = len(content)
    index = shard.index.copy()
    index[0] = at - 16 * len(index) - 4, len(bomb)
    tail = index.astype("<u8").tobytes()
    tail += int(google_crc32c.value(tail)).to_bytes(4, "little")
    shard.file.write_bytes(bytes(content[: -len(tail)]) + bomb + tail)
    with pytest.raises(CtgridError, match="slice 0 is of another size"):
        Shard.open(array).read([0])


def test_a_scan_of_terabytes_in_the_record() -> None:
    volume = Volume.from_array(np.zeros((8, 16, 16), np.int16), (2.0, 1.0, 1.0))
    array, inverse = to_canonical(volume, size=8, slices=4)
    claimed = {**inverse.to_json(), "shape": [100_000, 100_000, 100_000]}
    with pytest.raises(CtgridError, match=r"the scan has .*limit"):
        put_back(array, {"inverse": claimed})


def test_arrays_in_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "1M")
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(2 << 20))
    with pytest.raises(CtgridError, match="unpacks to 16 MiB"):
        check_zip(tmp_path / "a.npz")
