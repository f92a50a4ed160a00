"""``ctgrid grids`` from Python: pictures and a record; what is there is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.stores.grids import store_grids


@pytest.fixture
def store(make_store: Callable[..., Any], tmp_path: Path) -> Path:
    """Two volumes of 20 slices: five grids of 2 x 2 cells each."""
    return Path(make_store(tmp_path / "x.zarr", "a", "b", k=2).path)


def test_pictures_lie_beside_the_store_and_are_made_once(store: Path, tmp_path: Path) -> None:
    record = store_grids(store)
    folder = tmp_path / "x_grids"
    assert record.results["grids"] == record.results["written"] == len(list(folder.glob("*.png"))) == 10
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.png")}
    again = store_grids(store, volumes=("b",), window=(-160.0, 240.0), out=tmp_path / "soft")
    assert again.settings["window_hu"] == (-160.0, 240.0) and "window" not in again.settings
    assert again.results["grids"] == 5
    assert store_grids(store).results["written"] == 0
    assert before == {path: path.stat().st_mtime_ns for path in folder.glob("*.png")}
    assert json.loads((folder / "run.json").read_text())["command"] == "grids" and (folder / "run-1.json").exists()


def test_nothing_is_left_where_nothing_could_be_made(store: Path, tmp_path: Path) -> None:
    for out, changes, words in (
        (tmp_path / "out", {"volumes": ("nobody",)}, "no volume 'nobody'"),
        (store / "out", {}, "lies inside the input folder"),
        (tmp_path / "out", {"stride": 9}, "fill no grid"),
    ):
        with pytest.raises(CtgridError, match=words):
            store_grids(store, out, **changes)
        assert not out.exists()
    with pytest.raises(CtgridError, match="not a ctgrid store"):
        store_grids(tmp_path)
