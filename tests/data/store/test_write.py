"""Volumes come into a store whole or not at all, whoever dies meanwhile."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest

from ctgrid import CtgridError
from ctgrid.data.store import Store, StoreSettings
from ctgrid.data.store.write import CannotWrite, remove_stale, workspace, write_volume

RECORD = {"source": {}, "hu": {}, "inverse": {}, "geometry": {"stored_spacing_mm": [1.0, 1.0, 1.0]}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return an empty store."""
    return Store.create(tmp_path / "X.zarr", StoreSettings(protocol="canonical", size=64, k=4, slices=6))


def arrays(fill: int) -> tuple[np.ndarray, np.ndarray]:
    """Return slices and coarse slices that do not compress."""
    slices = np.random.default_rng(fill).integers(-1000, 1000, (6, 64, 64), dtype=np.int16)
    return slices, np.ascontiguousarray(slices[:, ::4, ::4])


def test_the_first_of_two_writers_wins(store: Store) -> None:
    assert write_volume(store.path, "a", *arrays(1), RECORD)
    assert not write_volume(store.path, "a", *arrays(2), RECORD)
    np.testing.assert_array_equal(store.volume("a").read_slices(), arrays(1)[0])
    assert sorted(p.name for p in store.path.iterdir()) == ["a", "zarr.json"]


def test_overwriting_replaces_the_whole_volume(store: Store) -> None:
    write_volume(store.path, "a", *arrays(1), {**RECORD, "extra": 1})
    assert write_volume(store.path, "a", *arrays(2), RECORD, overwrite=True)
    np.testing.assert_array_equal(store.volume("a").read_coarse(), arrays(2)[1])
    assert store.volume("a").record == RECORD
    assert sorted(p.name for p in store.path.iterdir()) == ["a", "zarr.json"]


def test_a_full_disk_leaves_nothing_behind(store: Store) -> None:
    write_volume(store.path, "a", *arrays(1), RECORD)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(CannotWrite, match=r"cannot write .*/b"):
            write_volume(store.path, "b", *arrays(2), RECORD)
        with pytest.raises(CannotWrite):
            write_volume(store.path, "a", *arrays(2), RECORD, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(p.name for p in store.path.iterdir()) == ["a", "zarr.json"]
    np.testing.assert_array_equal(store.volume("a").read_slices(), arrays(1)[0])


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "__x", "zarr.json", "a\0"])
def test_names_that_are_no_folder_names_are_refused(store: Store, name: str) -> None:
    with pytest.raises(CtgridError, match="cannot name a volume"):
        write_volume(store.path, name, *arrays(1), RECORD)


def test_only_16_bit_hu_go_in(store: Store) -> None:
    slices, coarse = arrays(1)
    with pytest.raises(CtgridError, match="int16"):
        write_volume(store.path, "a", slices.astype(np.uint8), coarse, RECORD)


def test_work_of_the_living_stays_and_that_of_the_dead_goes(store: Store) -> None:
    stale = store.path / ".partial" / "0123456789abcdef"
    (stale / "new").mkdir(parents=True)
    stale.with_suffix(".lock").touch()
    with workspace(store.path) as mine:
        (mine / "new").mkdir()
        assert remove_stale(store.path) == 1
        assert (mine / "new").is_dir() and not stale.exists()
    assert not (store.path / ".partial").exists()
    assert remove_stale(store.path) == 0


@pytest.mark.parametrize("new_there", [True, False])
def test_a_kill_between_the_two_renames_loses_no_volume(new_there: bool, tmp_path: Path) -> None:
    """The earlier volume gets its place again, unless the new one has it."""
    volume = tmp_path / ".partial" / "dead" / "old" / "a"
    (volume / "slices").mkdir(parents=True)
    for folder in (volume, volume / "slices"):
        (folder / "zarr.json").write_text("{}")
    (tmp_path / ".partial" / "dead.lock").touch()
    if new_there:
        (tmp_path / "a").mkdir()
    remove_stale(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a" / "slices").exists() is not new_there


def test_latents_alone_get_their_place_again(tmp_path: Path) -> None:
    kept = tmp_path / ".partial" / "dead" / "old" / "a" / "latents" / "0123" / "slices"
    kept.mkdir(parents=True)
    (kept / "zarr.json").write_text("{}")
    (tmp_path / "a" / "latents" / "0123").mkdir(parents=True)
    remove_stale(tmp_path)
    assert (tmp_path / "a" / "latents" / "0123" / "slices" / "zarr.json").exists()
