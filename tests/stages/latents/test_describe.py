"""What a store says of itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.stages.codecs.codecs import load_codec
from ctgrid.stages.latents.describe import describe_store
from ctgrid.stages.latents.stored import write_latents


def test_a_store_is_counted(make_store: Callable[..., Any], tiny_model: Path, tmp_path: Path) -> None:
    """Volumes, patients, bytes, where HU came from, spacing, and latents with those that are stale."""
    import zarr

    store = make_store(tmp_path / "x.zarr", "train_1_a_1", "train_1_a_2", "other")
    codec = load_codec(tiny_model / "codec")
    write_latents(store, codec, ("coarse",), ["other", "train_1_a_1"])
    zarr.open_array(store.path / "other" / "coarse", mode="r+")[0, 0, 0] += 9
    told = describe_store(store.path)
    assert json.loads(json.dumps(told)) == told and "shape" not in told
    assert (told["volumes"], told["patients"]) == (3, 2)
    assert told["names"] == ["other", "train_1_a_1", "train_1_a_2"]
    assert told["settings"]["size"] == 32 and told["settings"]["protocol"] == "canonical"
    assert told["hu_sources"] == {"stored": 3} and told["protocols"] == {"canonical": 3}
    assert told["spacing_mm"]["inputs"]["z"] == [2.0, 2.0] and told["spacing_mm"]["stored"]["x"] == [2.0, 4.0]
    assert all(told["bytes"].values()) and told["damaged"] == []
    (latents,) = told["latents"]
    assert latents["codec"] == codec.identity[:16] and latents["of"] == "coarse"
    assert (latents["volumes"], latents["stale"], latents["kept"]) == (2, 1, "float16")


def test_many_names_are_shortened(make_store: Callable[..., Any], tmp_path: Path) -> None:
    """The first and the last ten."""
    names = [f"v{i:02d}" for i in range(23)]
    told = describe_store(make_store(tmp_path / "x.zarr", *names, size=8, k=2, slices=2).path)
    assert told["volumes"] == 23
    assert told["names"] == [*names[:10], "...", *names[-10:]]


def test_one_volume_of_a_store(make_store: Callable[..., Any], tmp_path: Path) -> None:
    """Its record as it is stored."""
    told = describe_store(make_store(tmp_path / "x.zarr", "a").path / "a")
    assert told["stored_shapes"] == {"slices": [20, 32, 32], "coarse": [20, 8, 8]}
    assert told["hu"]["source"] == "stored" and told["source"]["name"] == "a"


def test_a_damaged_volume_is_named_and_the_rest_described(make_store: Callable[..., Any], tmp_path: Path) -> None:
    """An empty store is no error; another folder is."""
    store = make_store(tmp_path / "x.zarr", "a", "b")
    (store.path / "a" / "zarr.json").write_text("{}", encoding="utf-8")
    told = describe_store(store.path)
    assert told["volumes"] == 2 and told["hu_sources"] == {"stored": 1}
    assert len(told["damaged"]) == 1 and "/a/" in told["damaged"][0].replace("\\", "/")
    assert describe_store(make_store(tmp_path / "y.zarr").path)["volumes"] == 0
    with pytest.raises(CtgridError, match="not a ctgrid store"):
        describe_store(tmp_path)
