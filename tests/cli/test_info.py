"""``ctgrid info``: what a scan is, without touching anything."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from ctgrid import Volume


@pytest.fixture
def described(ctgrid: Callable[..., Any], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Run ``ctgrid info ARGS --json``; assert that no file was made or changed."""

    def run(*args: object) -> dict[str, Any]:
        before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
        result = ctgrid("info", *args, "--json")
        content = json.loads(result.stdout)
        assert result.exit_code == 0, result.output
        assert result.stderr.splitlines() == [f"ctgrid: warning: {args[0]}: {w}" for w in content.get("warnings", [])]
        assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before
        return content

    return run


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha", "a"])
def test_every_format(name: str, described: Callable[..., dict[str, Any]], scan: Path, tmp_path: Path) -> None:
    volume = Volume.read(scan)
    found = described(volume.write(tmp_path / name))
    assert found["shape"] == [20, 32, 32]
    np.testing.assert_allclose(found["spacing_mm"], [2.5, 0.8, 0.8], atol=1e-6)
    assert found["orientation"] == "LPS"
    expected = {"source": "header", "slope": 1, "intercept": -1024} if name == "a" else {"source": "stored", "slope": 1}
    assert expected.items() <= found["hu"].items()
    assert (found["values"]["min"], found["values"]["max"]) == (volume.hu.min(), volume.hu.max())
    assert found["values"]["percentiles"]["50"] == pytest.approx(np.median(volume.hu), abs=5)
    np.testing.assert_allclose(found["field_of_view_mm"], [50, 25.6, 25.6], atol=1e-3)
    assert found["dtype"] == "int16" and found["slices"] == 20
    np.testing.assert_allclose(found["affine"], volume.affine, atol=1e-4)


def test_zip_lists_its_series(described: Callable[..., dict[str, Any]], scan: Path, tmp_path: Path) -> None:
    Volume.read(scan).write(tmp_path / "study")
    other = Volume.read(scan)
    Volume(other.hu[:7], other.affine).write(tmp_path / "study" / "more")
    shutil.make_archive(str(tmp_path / "export"), "zip", tmp_path / "study")
    shutil.rmtree(tmp_path / "study")
    found = described(tmp_path / "export.zip")
    listed = {item["files"]: item for item in found["details"]["series_list"]}
    assert listed[20]["chosen"] and not listed[7]["chosen"]
    assert "7 slices" in listed[7]["reason"] and listed[7]["modality"] == "CT"
    number = listed[7]["number"]
    assert described(tmp_path / "export.zip", "--series", number)["shape"] == [7, 32, 32]
    assert described(tmp_path / "export.zip", "--series", listed[7]["uid"])["shape"] == [7, 32, 32]


def test_header_scaling_and_metadata(described: Callable[..., dict[str, Any]], scan: Path, tmp_path: Path) -> None:
    image = nibabel.load(scan)
    raw = nibabel.Nifti1Image((np.asanyarray(image.dataobj) + 8192).astype(np.int16), image.affine)
    nibabel.save(raw, tmp_path / "raw.nii.gz")
    table = tmp_path / "meta.csv"
    table.write_text("VolumeName,RescaleSlope,RescaleIntercept\nraw.nii.gz,1,-8192\n", encoding="utf-8")
    hu = described(tmp_path / "raw.nii.gz", "--metadata", table)["hu"]
    assert (hu["source"], hu["slope"], hu["intercept"], hu["file"]) == ("sidecar", 1, -8192, str(table))
    raw.header.set_slope_inter(1, -8192)
    nibabel.save(raw, tmp_path / "scaled.nii.gz")
    hu = described(tmp_path / "scaled.nii.gz")["hu"]
    assert (hu["source"], hu["intercept"]) == ("header", -8192)


def test_hu_that_cannot_be_told(
    described: Callable[..., dict[str, Any]], ctgrid: Callable[..., Any], tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 100, (16, 16, 8)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(noise, np.eye(4)), tmp_path / "odd.nii")
    table = tmp_path / "meta.csv"
    table.write_text("VolumeName,RescaleSlope,RescaleIntercept\nodd.nii,1,-500\n", encoding="utf-8")
    found = described(tmp_path / "odd.nii", "--metadata", table)
    assert found["hu"]["source"] is None
    assert "odd.nii" in found["hu"]["problem"]
    assert found["values"]["unit"] == "stored" and found["values"]["max"] == 99
    text = ctgrid("info", tmp_path / "odd.nii", "--metadata", table).stdout
    assert "HU             cannot be told" in text


def test_voxels_that_are_not_finite_are_counted(
    described: Callable[..., dict[str, Any]], bad_scan: Callable[..., Path]
) -> None:
    found = described(bad_scan("nan"))
    assert found["values"]["not_finite"] == 1
    assert found["values"]["min"] == -1000


def test_a_table_for_people(ctgrid: Callable[..., Any], scan: Path, tmp_path: Path) -> None:
    Volume.read(scan).write(tmp_path / "series")
    result = ctgrid("info", tmp_path / "series")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = dict(line.split("  ", 1) for line in result.stdout.splitlines())
    assert lines["voxels"].strip() == "32 x 32 x 20 (x, y, z)"
    assert "0.8 x 0.8 x 2.5 mm" in lines["spacing"]
    assert "header, slope 1, intercept -1024" in lines["HU"]
    assert lines["series 1"].strip().startswith("CT, 20 files") and lines["series 1"].endswith("chosen")


@pytest.mark.parametrize("kind", ["missing", "truncated", "empty", "text", "four-d", "rgb"])
def test_unreadable_files(kind: str, bad_scan: Callable[..., Path], fails: Callable[..., str]) -> None:
    path = bad_scan(kind)
    assert str(path) in fails("info", path)
    assert str(path) in fails("info", path, "--json")


def test_bad_options(scan: Path, fails: Callable[..., str], tmp_path: Path) -> None:
    assert "not DICOM" in fails("info", scan, "--series", "1")
    assert "nothing.csv" in fails("info", scan, "--metadata", tmp_path / "nothing.csv")
    (tmp_path / "empty").mkdir()
    assert "no DICOM" in fails("info", tmp_path / "empty")


def test_a_store_and_what_only_looks_like_one(
    described: Callable[..., dict[str, Any]], ctgrid: Callable[..., Any], fails: Callable[..., str], tmp_path: Path
) -> None:
    from ctgrid.data.store import Store, StoreSettings

    Store.create(tmp_path / "X.zarr", StoreSettings(size=32, k=4))
    found = described(tmp_path / "X.zarr")
    assert (found["kind"], found["volumes"], found["settings"]["size"]) == ("store", 0, 32)
    assert "volumes " in ctgrid("info", tmp_path / "X.zarr").stdout
    (tmp_path / "Y.zarr").mkdir()
    (tmp_path / "Y.zarr" / "zarr.json").write_text("{")
    assert "Y.zarr" in fails("info", tmp_path / "Y.zarr")
