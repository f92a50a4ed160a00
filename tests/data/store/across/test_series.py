"""PACS exports: one series of a folder, or each of them; odd neighbours are named, never silently lost."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from ctgrid import Volume
from ctgrid.data.store import Store, StoreSettings
from ctgrid.data.store.prepare import prepare
from ctgrid.data.store.report import tally


@pytest.fixture
def export(tmp_path: Path, chest: Callable[..., np.ndarray]) -> Path:
    """Return a folder of one patient with two CT series and one of another modality, all files together."""
    folder = tmp_path / "export" / "PAT1"
    folder.mkdir(parents=True)
    affine = np.diag([-8.0, -8.0, 2.5, 1.0])
    for number, slices in enumerate((12, 9, 6), start=1):
        Volume(chest((slices, 16, 16), seed=number), affine).write(tmp_path / "one")
        for path in (tmp_path / "one").iterdir():
            dataset = pydicom.dcmread(path)
            dataset.SeriesNumber = number
            if number == 3:
                dataset.Modality = "PT"
            dataset.save_as(folder / f"{number}-{path.name}")
        shutil.rmtree(tmp_path / "one")
    return folder


def test_the_largest_is_taken_and_the_others_are_named(export: Path, small: StoreSettings, tmp_path: Path) -> None:
    (row,) = prepare([export.parent], tmp_path / "X.zarr", small)
    assert (row["name"], row["status"], row["shape"]) == ("PAT1", "ok", [12, 16, 16])
    assert [(item["number"], item["slices"]) for item in row["passed_over"]] == [(2, 9), (3, 6)]
    assert "PT" in row["passed_over"][1]["reason"]


def test_each_series_can_be_a_volume(export: Path, small: StoreSettings, tmp_path: Path) -> None:
    out = tmp_path / "X.zarr"
    rows = prepare([export.parent], out, small, all_series=True)
    assert {row["name"]: row["status"] for row in rows} == {
        "PAT1__series-1": "ok",
        "PAT1__series-2": "ok",
        "PAT1__series-3": "skipped",
    }
    assert [v.record["geometry"]["shape"][0] for v in Store.open(out)] == [12, 9]
    again = prepare([export.parent], out, small, all_series=True)
    assert tally(again)["already_there"] == 2 and tally(again)["skipped"] == 1


def test_a_zip_is_a_scan(export: Path, small: StoreSettings, tmp_path: Path) -> None:
    archive = tmp_path / "zips" / "PAT1.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as target:
        for path in export.iterdir():
            target.write(path, path.name)
    (row,) = prepare([archive.parent], tmp_path / "X.zarr", small)
    assert (row["name"], row["status"], row["shape"]) == ("PAT1", "ok", [12, 16, 16])
    prepare([export], tmp_path / "Y.zarr", small)
    zipped, plain = (Store.open(tmp_path / store).volume("PAT1") for store in ("X.zarr", "Y.zarr"))
    np.testing.assert_array_equal(zipped.read_slices(), plain.read_slices())
