"""A preview finds the volumes of any source and writes what the file name asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ctgrid import CtgridError, Volume
from ctgrid.data.store import Store, StoreSettings
from ctgrid.data.store.prepare import prepare
from ctgrid.runs.report.gallery import CAPTION_PX, GAP_PX, TILE_PX, VOLUMES, gallery
from ctgrid.runs.report.preview import save_preview, volumes_of

AFFINE = np.diag([-1.0, -1.0, 2.0, 1.0])


@pytest.fixture
def folder(tmp_path: Path, chest: Callable[..., np.ndarray]) -> Path:
    """Two scans in a folder, and a file that is none."""
    path = tmp_path / "scans"
    path.mkdir()
    for name in ("b", "a"):
        Volume(chest((12, 24, 32)), AFFINE).write(path / f"{name}.nii.gz")
    (path / "run.json").write_text("{}")
    return path


@pytest.fixture
def store(folder: Path, tmp_path: Path) -> Path:
    """A store of both scans."""
    path = tmp_path / "s.zarr"
    prepare([folder], path, StoreSettings(protocol="canonical", size=32, k=2, slices=8))
    return path


def test_a_folder_and_a_store_give_their_first_volume_or_those_named(folder: Path, store: Path) -> None:
    """Sorted by name; all on request."""
    for source in (folder, store):
        assert [one.name for one in volumes_of(source)] == ["a"]
        assert [one.name for one in volumes_of(source, everything=True)] == ["a", "b"]
        assert [one.name for one in volumes_of(source, ["b", "a", "b"])] == ["b", "a"]
        with pytest.raises(CtgridError, match="no volume 'c'; it has a, b"):
            volumes_of(source, ["c"])


def test_one_volumes_folder_in_a_store_is_that_volume(store: Path) -> None:
    (named,), (one,) = volumes_of(store, ["b"]), volumes_of(store / "b")
    assert named == one and one.in_store
    with pytest.raises(CtgridError):
        volumes_of(store / "nobody")[0].load()


def test_a_stored_volume_comes_back_on_the_patients_grid(folder: Path, store: Path) -> None:
    """A store's slices are resampled; what is looked at has the scan's own shape and spacing."""
    (one,) = volumes_of(store, ["b"])
    volume, scan = one.load(), Volume.read(folder / "b.nii.gz")
    assert volume.shape == scan.shape
    assert volume.spacing_mm == pytest.approx(scan.spacing_mm)
    assert np.corrcoef(volume.hu.ravel(), scan.hu.ravel())[0, 1] > 0.9


def test_a_file_has_no_names(folder: Path, tmp_path: Path) -> None:
    """Names choose; where there is nothing to choose from they are refused."""
    (one,) = volumes_of(folder / "a.nii.gz")
    assert one.name == "a"
    with pytest.raises(CtgridError, match="neither"):
        volumes_of(folder / "a.nii.gz", ["a"])
    Store.create(tmp_path / "empty.zarr", StoreSettings(protocol="canonical", size=32, k=2, slices=8))
    with pytest.raises(CtgridError, match="no volume yet"):
        volumes_of(tmp_path / "empty.zarr")


def test_every_suffix_is_written(folder: Path, tmp_path: Path) -> None:
    """And what was seen is told, for the record."""
    shown = volumes_of(folder, everything=True)
    for name, start in (("x.png", b"\x89PNG"), ("x.gif", b"GIF8"), ("x.mp4", b"\0\0\0")):
        seen = save_preview(shown[:1], tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
        assert [one.shape for one in seen] == [(12, 24, 32)]
        assert seen[0].record["source"] == str(shown[0].path)
    assert len(save_preview(shown, tmp_path / "two.png")) == 2
    with pytest.raises(CtgridError, match="must end in"):
        save_preview(shown, tmp_path / "x.jpg")


def test_a_page_is_written(folder: Path, tmp_path: Path) -> None:
    """The viewer's page, with both names in it."""
    pytest.importorskip("ctgrid.runs.report.html.viewer")
    save_preview(volumes_of(folder, everything=True), tmp_path / "x.html")
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html") and "a, b" in page
    assert 'src="http' not in page and 'href="http' not in page
    with pytest.raises(CtgridError, match="1 to 20 volumes"):
        save_preview(volumes_of(folder) * 21, tmp_path / "y.html")


def test_a_gallery_has_a_row_for_each_volume() -> None:
    """Axial, coronal and sagittal slice at one scale: a flat volume is flat in the latter two."""
    flat = Volume(np.full((10, 40, 40), 100, np.int16), np.diag([-1.0, -1.0, 1.0, 1.0]))
    sheet = np.asarray(gallery([("one", lambda: flat), ("two", lambda: flat)], (0, 100)))
    step = TILE_PX + GAP_PX
    assert sheet.shape == (2 * step + CAPTION_PX, 3 * step - GAP_PX)
    heights = [int((sheet[step : 2 * step, c * step + TILE_PX // 2] == 255).sum()) for c in range(3)]
    assert heights == [TILE_PX, TILE_PX // 4, TILE_PX // 4]
    with pytest.raises(CtgridError, match=f"1 to {VOLUMES}"):
        gallery([])


def test_a_failure_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    """A damaged volume among several: the error names it, and there is no file."""
    (folder / "b.nii.gz").write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    for name in ("x.png", "x.gif", "x.mp4"):
        with pytest.raises(CtgridError, match=r"b\.nii\.gz"):
            save_preview(volumes_of(folder, everything=True), tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before
    with Image.open(_picture(folder, tmp_path)) as picture:
        assert picture.mode == "L"


def _picture(folder: Path, out: Path) -> Path:
    save_preview(volumes_of(folder), out / "y.png")
    return out / "y.png"
