"""Grid images for other tools: the paper's runs, their gray levels, and going on after a stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ctgrid.base.errors import CtgridError
from ctgrid.data.store import Store
from ctgrid.data.store.export import export_grids, grid_runs, to_gray


@pytest.fixture
def store(make_store: Callable[..., Any], tmp_path: Path) -> Store:
    """Two volumes of 20 slices: grids of 2 x 2 cells of 16 pixels."""
    return make_store(tmp_path / "x.zarr", "a", "b", k=2)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder."""
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_runs_are_the_papers() -> None:
    """201 slices: 12 grids of 16 in a row, 9 left out; no slice twice at any stride."""
    runs = list(grid_runs(201, 4))
    assert len(runs) == 12 and runs[0] == list(range(16)) and runs[-1] == list(range(176, 192))
    for stride in (1, 2, 3, 12):
        used = [i for run in grid_runs(201, 4, stride) for i in run]
        assert len(used) == len(set(used)) and max(used) < 201
        assert all(np.diff(run).tolist() == [stride] * 15 for run in grid_runs(201, 4, stride))
    assert len(list(grid_runs(201, 4, 12))) == 12
    assert list(grid_runs(15, 4)) == []


def test_gray_levels_cover_the_window() -> None:
    """-1000 HU is 0, 1000 HU 255, and the error at most half a level."""
    hu = np.arange(-1200, 1201, dtype=np.int16)
    gray = to_gray(hu)
    assert gray.dtype == np.uint8 and (gray[200], gray[2200]) == (0, 255) and (gray.min(), gray.max()) == (0, 255)
    back = gray[200:2201] * (2000 / 255) - 1000
    assert np.abs(back - hu[200:2201]).max() <= 1000 / 255 + 1e-9
    assert to_gray(np.array([-160, 40, 240]), (-160, 240)).tolist() == [0, 128, 255]


def test_pictures_hold_the_coarse_slices_row_by_row(store: Store, tmp_path: Path) -> None:
    """Gray three times over, and the manifest tells which slices and how gray becomes HU."""
    made = export_grids(store, tmp_path / "out")
    assert (made.written, made.kept, made.left_out) == (10, 0, [])
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["size"], manifest["window_hu"], manifest["cells_per_side"]) == (32, [-1000, 1000], 2)
    assert manifest["hu_per_gray"] == pytest.approx(2000 / 255)
    assert manifest["volumes"]["b"][3] == {"file": "b_003.png", "slices": [12, 13, 14, 15]}
    with Image.open(tmp_path / "out" / "b_003.png") as image:
        assert (image.mode, image.size) == ("RGB", (32, 32))
        picture = np.asarray(image)
    assert (picture == picture[..., :1]).all()
    coarse = store.volume("b").read_coarse(slice(12, 16))
    shown = np.block([[coarse[0], coarse[1]], [coarse[2], coarse[3]]])
    assert np.array_equal(picture[..., 0], to_gray(shown))


def test_a_second_run_goes_on_and_never_overwrites(store: Store, tmp_path: Path) -> None:
    """What is there and the same is kept; what shows something else is refused, or replaced when asked."""
    out = tmp_path / "out"
    export_grids(store, out, ["a"])
    (out / "a_002.png").unlink()
    (out / "a_003.png").write_bytes((out / "a_003.png").read_bytes()[:50])
    with pytest.raises(CtgridError, match=r"a_003.png exists and shows something else; pass --overwrite"):
        export_grids(store, out)
    (out / "a_003.png").unlink()
    made = export_grids(store, out, workers=2)
    assert (made.written, made.kept) == (6, 4)  # the refused run wrote a_002 first
    once = contents(out)
    assert export_grids(store, out).kept == 10 and contents(out) == once
    with pytest.raises(CtgridError, match="made with another window_hu"):
        export_grids(store, out, window_hu=(-160, 240))
    assert contents(out) == once
    assert export_grids(store, out, ["b"], stride=2, overwrite=True).written == 4
    left = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert sorted(left["volumes"]) == ["b"] and left["left_out"] == [16, 17, 18, 19]
    assert sorted(contents(out)) == ["b_000.png", "b_001.png", "b_002.png", "b_003.png", "manifest.json"]


def test_other_slices_are_other_pictures(store: Store, tmp_path: Path) -> None:
    """A volume prepared anew is noticed, even where the same names are there."""
    import zarr

    export_grids(store, tmp_path / "out")
    zarr.open_array(store.path / "a" / "coarse", mode="r+")[0, 0, 0] += 500
    with pytest.raises(CtgridError, match=r"a_000.png exists and shows something else"):
        export_grids(store, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"names": ["a", "nobody"]}, "no volume 'nobody'"),
        ({"stride": 6}, "20 slices fill no grid of 2 x 2 at stride 6"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"window_hu": (100, 100)}, "must lie below its upper end"),
    ],
)
def test_what_cannot_be_exported_is_refused(options: dict[str, Any], words: str, store: Store, tmp_path: Path) -> None:
    """And nothing is made."""
    with pytest.raises(CtgridError, match=words):
        export_grids(store, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
