"""A store gives back exactly what was put in, and says so when it cannot."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ctgrid import CtgridError, Volume
from ctgrid.data.store import Store, StoreSettings, is_store
from ctgrid.data.store.one import volume_record
from ctgrid.data.store.write import write_volume
from ctgrid.scan.protocols.canonical import canonical_pass, from_canonical

SETTINGS = StoreSettings(protocol="canonical", size=16, k=4, slices=12)


@pytest.fixture
def filled(tmp_path: Path, chest_volume: Volume) -> Store:
    """Return a store with the volumes ``a`` and ``b``, made by the canonical protocol."""
    store = Store.create(tmp_path / "X.zarr", SETTINGS)
    result = canonical_pass(chest_volume, 16, 4, 12)
    geometry = {"affine": chest_volume.affine, "shape": chest_volume.shape}
    record = volume_record(result, geometry, {"name": "a.nii.gz"}, SETTINGS)
    for name in "ba":
        assert write_volume(store.path, name, result.slices, result.coarse, record)
    return store


def test_what_is_written_is_read(filled: Store, chest_volume: Volume) -> None:
    store = Store.open(filled.path)
    expected = canonical_pass(chest_volume, 16, 4, 12)
    volume = store.volume("a")
    assert store.names() == ["a", "b"] and len(store) == 2 and "a" in store and "c" not in store
    assert [v.name for v in store] == ["a", "b"]
    assert volume.shape == (12, 16, 16) and volume.slices.dtype == np.int16
    assert volume.spacing_mm == pytest.approx(expected.record.spacing_mm)
    assert dict(volume.slices.attrs) == {"units": "HU"}
    np.testing.assert_array_equal(volume.read_slices(), expected.slices)
    np.testing.assert_array_equal(volume.read_coarse(), expected.coarse)


@pytest.mark.parametrize("index", [3, -1, slice(2, 9, 3), slice(9, 2, -3), [5, 3, 3, -1], np.arange(0, 12, 4), []])
def test_slices_are_read_like_rows_of_an_array(filled: Store, index: object) -> None:
    volume = filled.volume("a")
    expected = volume.read_slices()[[index] if isinstance(index, int) else index]
    np.testing.assert_array_equal(volume.read_slices(index), expected.reshape(-1, 16, 16))
    assert volume.read_coarse(index).shape == (len(expected), 4, 4)


@pytest.mark.parametrize("index", [12, [-13], [0.5], [[1]]])
def test_slices_that_are_not_there_are_refused(filled: Store, index: object) -> None:
    with pytest.raises(CtgridError, match="slices"):
        filled.volume("a").read_slices(index)


def test_each_array_is_one_file_of_single_compressed_slices(filled: Store) -> None:
    for name, side in (("slices", 16), ("coarse", 4)):
        array = filled.path / "a" / name
        assert [p.relative_to(array).as_posix() for p in array.rglob("*") if p.is_file()] in (
            ["zarr.json", "c/0/0/0"],
            ["c/0/0/0", "zarr.json"],
        )
        node = json.loads((array / "zarr.json").read_text(encoding="utf-8"))
        (codec,) = node["codecs"]
        assert codec["name"] == "sharding_indexed"
        assert codec["configuration"]["chunk_shape"] == [1, side, side]
        assert "zstd" in json.dumps(codec["configuration"]["codecs"])


def test_a_volume_goes_back_to_the_patient(filled: Store, chest_volume: Volume) -> None:
    result = canonical_pass(chest_volume, 16, 4, 12)
    volume = filled.volume("a")
    back = volume.to_volume()
    expected = from_canonical(result.slices, result.record)
    np.testing.assert_array_equal(back.hu, expected.hu)
    np.testing.assert_allclose(back.affine, chest_volume.affine)
    assert back.shape == chest_volume.shape
    dense = volume.to_volume(np.full(volume.shape, 500.0, np.float32))
    assert abs(float(np.median(dense.hu)) - 500) <= 1
    with pytest.raises(CtgridError, match="does not fit"):
        volume.to_volume(result.slices[1:])


def test_volumes_travel_to_other_processes(filled: Store) -> None:
    volume = filled.volume("b")
    volume.read_slices(0)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(volume)).read_slices(0), volume.read_slices(0))


def test_damage_is_told_not_read_as_tissue(filled: Store) -> None:
    shard = filled.path / "a" / "slices" / "c" / "0" / "0" / "0"
    content = bytearray(shard.read_bytes())
    content[40] ^= 255
    shard.write_bytes(content)
    with pytest.raises(CtgridError, match="damaged"):
        filled.volume("a").read_slices()
    shard.unlink()
    with pytest.raises(CtgridError, match="incomplete"):
        filled.volume("a").read_slices()
    (filled.path / "a" / "zarr.json").write_text("{", encoding="utf-8")
    with pytest.raises(CtgridError, match="damaged"):
        _ = filled.volume("a").record


def test_what_is_hidden_is_no_volume(filled: Store) -> None:
    (filled.path / ".partial" / "x").mkdir(parents=True)
    assert filled.names() == ["a", "b"]
    with pytest.raises(CtgridError, match="no volume"):
        filled.volume("../X.zarr/a")


def test_only_stores_are_opened(tmp_path: Path, filled: Store) -> None:
    assert is_store(filled.path) and not is_store(filled.path / "a") and not is_store(tmp_path / "none")
    with pytest.raises(CtgridError, match="does not exist"):
        Store.open(tmp_path / "none")
    with pytest.raises(CtgridError, match="not a ctgrid store"):
        Store.open(filled.path / "a")
    with pytest.raises(CtgridError, match="not an empty folder"):
        Store.create(filled.path, SETTINGS)
    root = filled.path / "zarr.json"
    text = root.read_text(encoding="utf-8")
    root.write_text(text.replace('"ctgrid_store": 1', '"ctgrid_store": 2'), encoding="utf-8")
    with pytest.raises(CtgridError, match="format 2"):
        Store.open(filled.path)
    root.write_text(text.replace('"size": 16', '"size": 17'), encoding="utf-8")
    with pytest.raises(CtgridError, match="no multiple"):
        Store.open(filled.path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 510}, "no multiple"),
        ({"size": "512"}, "size is a whole number, got '512'"),
        ({"slices": 100}, "201 slices"),
        ({"fov_mm": 400}, "whole field of view"),
        ({"protocol": "canonical", "parity": True}, "parity belongs"),
        ({"protocol": "other"}, "unknown protocol 'other'"),
        ({"sise": 512}, r"did you mean size\?"),
        ({"protocol": "canonical", "fov_mm": float("nan")}, "fov_mm must be at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_one_line(values: dict[str, object], message: str) -> None:
    with pytest.raises(CtgridError, match=message) as caught:
        StoreSettings.checked(values)
    assert "\n" not in str(caught.value)


def test_the_same_volumes_give_the_same_bytes(
    tmp_path: Path, filled: Store, digest: Callable[[Path], dict[str, str]]
) -> None:
    again = Store.create(tmp_path / "Y.zarr", SETTINGS)
    for volume in filled:
        write_volume(again.path, volume.name, volume.read_slices(), volume.read_coarse(), volume.record)
    assert digest(again.path) == digest(filled.path)
