"""Stores in a report: which volumes are read, how they lie, and what is said of the rest."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid import Volume
from ctgrid.base.errors import CtgridError
from ctgrid.data.store import Store, StoreSettings
from ctgrid.data.store.prepare import prepare
from ctgrid.data.store.store import StoredVolume
from ctgrid.runs.evaluation.samples import open_samples
from ctgrid.runs.report.html.block import embed
from ctgrid.runs.report.html.collect import collect
from ctgrid.runs.report.html.report import Options, Written, write_report
from ctgrid.runs.report.preview import save_preview, volumes_of

AFFINES = {
    "LPS": np.diag([-1.5, -1.5, 1.0, 1.0]),
    "RAS": np.diag([1.5, 1.5, 1.0, 1.0]),
    "LPI": np.diag([-1.5, -1.5, -1.0, 1.0]),
}


def alike(a: np.ndarray, b: np.ndarray) -> float:
    """Return the correlation of two volumes of one shape."""
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


@pytest.mark.parametrize(
    ("protocol", "maker"), [("canonical", "PNMS"), ("generatect", "PNMS"), ("generatect", "SIEMENS")]
)
@pytest.mark.parametrize("axes", AFFINES)
def test_stored_slices_lie_as_the_scan_and_as_preview_shows_them(
    protocol: Any, axes: str, maker: str, tmp_path: Path
) -> None:
    """Whatever a protocol transposed or reversed, one of them by the maker: right on the left, face up, head up."""
    hu = np.full((104, 32, 32), -1000, np.int16)
    hu[:40, :12, :16], hu[20:60, 8:, 4:12] = 300, -200  # no flip and no swap of axes leaves it alike
    upright = Volume(hu, AFFINES["LPS"])
    scan = upright.reoriented(axes)
    (tmp_path / "scans").mkdir()
    scan.write(tmp_path / "scans" / "a.nii.gz")
    (tmp_path / "scans" / "a_metadata.json").write_text(
        json.dumps({"RescaleSlope": 1, "RescaleIntercept": 0, "Manufacturer": maker})
    )
    slices = 60 if protocol == "canonical" else 201
    store = tmp_path / "s.zarr"
    prepare([tmp_path / "scans"], store, StoreSettings(protocol=protocol, size=32, k=2, slices=slices, hu="stored"))
    (scene,) = write_report([store], tmp_path / "x.html", Options()).content.scenes
    shown, whole = scene.block.voxels(), upright.hu
    assert shown.shape == whole.shape and alike(shown, whole) > 0.95
    turned = [np.flip(whole, axis) for axis in (0, 1, 2)] + [whole.swapaxes(1, 2)]
    assert max(alike(shown, other) for other in turned) < 0.6
    (one,) = volumes_of(store)
    assert scene.block == embed(one.load())
    save_preview([one], tmp_path / "preview.html")
    for page in ("x.html", "preview.html"):
        assert b64encode(scene.block.data).decode() in (tmp_path / page).read_text(encoding="utf-8")
    (sample,) = open_samples(store, size=None, slices=104)  # what measures look at
    assert alike(sample.load().hu, shown) > 0.95
    assert f"32 × 32 × {slices}" in scene.notes[0] and protocol in scene.notes[0]


@pytest.fixture
def store(tmp_path: Path, chest: Callable[..., np.ndarray]) -> Path:
    """A store of four real volumes."""
    scans = tmp_path / "of"
    scans.mkdir()
    for i, name in enumerate("abcd"):
        Volume(chest((12, 24, 32), seed=i), AFFINES["LPS"]).write(scans / f"{name}.nii.gz")
    prepare([scans], tmp_path / "s.zarr", StoreSettings(protocol="canonical", size=32, k=2, slices=8))
    for path in scans.iterdir():
        path.unlink()
    scans.rmdir()
    (tmp_path / "s.report.jsonl").unlink()
    return tmp_path / "s.zarr"


def shown_of(written: Written) -> list[str]:
    """Return the names of the volumes in a page."""
    return [scene.name for scene in written.content.scenes]


def test_only_what_is_shown_is_read_and_the_rest_is_listed(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "efgh":  # nothing in them could be read
        (store / name).mkdir()
    read: list[str] = []
    load = StoredVolume.to_volume
    monkeypatch.setattr(StoredVolume, "to_volume", lambda self, *a: (read.append(self.name), load(self, *a))[1])
    written = write_report([store], tmp_path / "x.html", Options(max_volumes=2))
    assert shown_of(written) == read == ["a", "b"]
    assert [path.name for path in written.found.files()] == ["a", "b"]  # so that no other is hashed for the record
    (note,) = written.notes
    assert note.startswith("6 of 8 volumes") and note.endswith(": c, d, e, f, g and 1 more.")
    data = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert data["left_out"] == list("cdefgh")
    for suffix in (".html", ".md"):
        assert "c, d, e, f, g, h" in (tmp_path / f"x{suffix}").read_text(encoding="utf-8")


def test_listing_a_store_looks_into_none_of_its_volumes(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Any) -> Any:
        raise AssertionError(f"{self} was opened")

    monkeypatch.setattr(StoredVolume, "record", property(refused))
    monkeypatch.setattr(StoredVolume, "_open", refused)
    found = collect([store])
    assert [(one.name, one.in_store, one.given) for one in found.volumes] == [(n, True, False) for n in "abcd"]


def test_a_volume_named_itself_comes_before_a_stores(store: Path, chest_volume: Volume, tmp_path: Path) -> None:
    scan = chest_volume.write(tmp_path / "scan.nii.gz")
    assert shown_of(write_report([store, scan], tmp_path / "x.html", Options(max_volumes=2))) == ["scan", "a"]
    assert shown_of(write_report([store, store / "c"], tmp_path / "y.html", Options(max_volumes=1))) == ["a"]
    assert shown_of(write_report([store / "c", store], tmp_path / "z.html", Options())) == ["c", "a", "b", "d"]


def test_one_volume_of_a_store(store: Path, tmp_path: Path) -> None:
    assert shown_of(write_report([store / "c"], tmp_path / "x.html", Options())) == ["c"]
    with pytest.raises(CtgridError, match="nothing to report"):
        collect([store / "c" / "slices"])
    (store / "c" / "zarr.json").unlink()
    with pytest.raises(CtgridError, match="damaged or missing"):
        write_report([store / "c"], tmp_path / "y.html", Options())


def test_damaged_and_empty_stores(store: Path, tmp_path: Path) -> None:
    (store / "b" / "slices" / "c" / "0" / "0" / "0").write_bytes(b"damaged")
    written = write_report([store], tmp_path / "x.html", Options())
    assert shown_of(written) == ["a", "c", "d"] and "s.zarr/b is damaged" in written.notes[0]
    empty = Store.create(tmp_path / "e.zarr", StoreSettings(protocol="canonical", size=32, k=2, slices=8)).path
    with pytest.raises(CtgridError, match="no volume yet"):
        collect([empty])
    found = collect([tmp_path])  # inside a folder it is no reason to show nothing
    assert len(found.volumes) == 4 and "no volume yet" in found.notes[0]


def test_the_run_of_prepare_shows_its_store(store: Path, tmp_path: Path) -> None:
    record = {"command": "prepare", "status": "done", "working_folder": "/gone", "outputs": [{"path": "run/s.zarr"}]}
    (tmp_path / "run.json").write_text(json.dumps(record))
    found = collect([tmp_path])
    assert [one.name for one in found.volumes] == list("abcd") and not found.notes
    assert [run.command for run in found.runs] == ["prepare"] and found.stores == [store]


def test_page_is_not_written_into_a_store(store: Path, tmp_path: Path) -> None:
    for inputs, folder in (([store], store), ([store], store / "a"), ([tmp_path], store / "a" / "slices")):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(CtgridError, match="inside the input"):
            write_report(inputs, folder / "x.html", Options())
        assert sorted(tmp_path.rglob("*")) == before


def test_volumes_called_alike_are_told_apart(store: Path, chest_volume: Volume, tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    chest_volume.write(tmp_path / "scans" / "a.nii.gz")
    names = [one.name for one in collect([tmp_path]).volumes]
    assert sorted(names) == ["b", "c", "d", "s.zarr/a", "scans/a"]
