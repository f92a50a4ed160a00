"""``ctgrid convert``: between all formats and back, nothing lost, nothing touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from ctgrid import Volume
from ctgrid.base.record_place import record_beside

FORMATS = ("a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a")


@pytest.mark.parametrize("first", FORMATS)
def test_between_all_formats(first: str, ctgrid: Callable[..., Any], scan: Path, tmp_path: Path) -> None:
    before = Volume.read(scan)
    (tmp_path / "one").mkdir()
    source = tmp_path / "one" / first
    assert ctgrid("convert", scan, source).exit_code == 0
    for second in FORMATS:
        folder = tmp_path / f"to-{second}"
        folder.mkdir()
        result = ctgrid("convert", source, folder / second)
        assert (result.exit_code, result.stderr) == (0, "")
        after = Volume.read(folder / second)
        np.testing.assert_array_equal(after.hu, before.hu)
        np.testing.assert_allclose(after.affine, before.affine, atol=1e-4)
        assert json.loads(record_beside(folder / second).read_text(encoding="utf-8"))["status"] == "done"


def test_json_record(ctgrid: Callable[..., Any], scan: Path, tmp_path: Path) -> None:
    result = ctgrid("convert", scan, tmp_path / "series", "--json")
    record = json.loads(result.stdout)
    assert record["command"] == "convert"
    assert record["decisions"]["hu"]["source"] == "stored"
    assert record["outputs"][0]["shape"] == [20, 32, 32]
    assert record["outputs"][0]["files"] == 20
    assert record["inputs"][0]["path"] == str(scan)


@pytest.mark.parametrize("dtype", ["keep", "int16", "int32", "float32", "float64"])
def test_dtype(dtype: str, ctgrid: Callable[..., Any], scan: Path, tmp_path: Path) -> None:
    image = nibabel.load(scan)
    nibabel.save(
        nibabel.Nifti1Image(np.asanyarray(image.dataobj).astype(np.float32) + 0.25, image.affine), tmp_path / "f.nii"
    )
    for name in ("b.nii.gz", "b.mha"):
        assert ctgrid("convert", tmp_path / "f.nii", tmp_path / name, "--dtype", dtype).exit_code == 0
    expected = np.dtype("float32" if dtype == "keep" else dtype)
    assert nibabel.load(tmp_path / "b.nii.gz").get_data_dtype() == expected
    assert sitk.GetArrayViewFromImage(sitk.ReadImage(str(tmp_path / "b.mha"))).dtype == expected
    gap = np.abs(Volume.read(tmp_path / "b.nii.gz", hu="stored").hu - (Volume.read(scan).hu + 0.25)).max()
    assert gap == (0.25 if "int" in dtype else 0)


def test_a_nifti_header_is_kept(ctgrid: Callable[..., Any], scan: Path, tmp_path: Path) -> None:
    image = nibabel.load(scan)
    image.header["descrip"] = b"chest, kernel X"
    image.header["qform_code"], image.header["sform_code"] = 4, 2
    nibabel.save(image, tmp_path / "own.nii")
    ctgrid("convert", tmp_path / "own.nii", tmp_path / "b.nii.gz")
    header = nibabel.load(tmp_path / "b.nii.gz").header
    assert header["descrip"].item() == b"chest, kernel X"
    assert (int(header["qform_code"]), int(header["sform_code"])) == (4, 2)


def test_hu_by_the_metadata_table(ctgrid: Callable[..., Any], scan: Path, tmp_path: Path) -> None:
    image = nibabel.load(scan)
    raw = (np.asanyarray(image.dataobj) + 8192).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(raw, image.affine), tmp_path / "train_1_a_1.nii.gz")
    table = tmp_path / "meta.csv"
    table.write_text("VolumeName,RescaleSlope,RescaleIntercept\ntrain_1_a_1.nii.gz,1,-8192\n", encoding="utf-8")
    result = ctgrid("convert", tmp_path / "train_1_a_1.nii.gz", tmp_path / "b.nrrd", "--metadata", table, "--json")
    assert json.loads(result.stdout)["decisions"]["hu"]["source"] == "sidecar"
    np.testing.assert_array_equal(Volume.read(tmp_path / "b.nrrd").hu, Volume.read(scan).hu)


@pytest.mark.parametrize("out", ["b.txt", "b.png", "b.mhd", "b.zip", "nowhere/b.nii", "nowhere/series"])
def test_bad_outputs(out: str, fails: Callable[..., str], scan: Path, tmp_path: Path) -> None:
    assert str(tmp_path / out) in fails("convert", scan, tmp_path / out)


@pytest.mark.parametrize("given", ["none", "none.nii.gz", "none.dcm out.nii.gz", "none.mha out"])
def test_what_is_not_there_is_said_before_anything_else(given: str, fails: Callable[..., str], tmp_path: Path) -> None:
    """Whatever its name would have been made of."""
    missing, *out = (tmp_path / name for name in given.split())
    assert f"{missing} does not exist" in fails("convert", missing, *out)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["missing", "truncated", "empty", "text", "four-d", "rgb", "nan"])
@pytest.mark.parametrize("out", ["out.mha", "out"])
def test_bad_inputs(
    kind: str, out: str, bad_scan: Callable[[str], Path], fails: Callable[..., str], tmp_path: Path
) -> None:
    path = bad_scan(kind)
    assert str(path) in fails("convert", path, tmp_path / out)


def test_the_input_is_never_touched(
    ctgrid: Callable[..., Any], fails: Callable[..., str], scan: Path, tmp_path: Path
) -> None:
    assert "is the input" in fails("convert", scan, scan, "--overwrite")
    link = tmp_path / "link.nii.gz"
    link.symlink_to(scan)
    assert "is the input" in fails("convert", scan, link, "--overwrite")
    ctgrid("convert", scan, tmp_path / "series")
    (tmp_path / "series.run.json").unlink()
    series = tmp_path / "series"
    assert "is the input" in fails("convert", series, series, "--overwrite")
    assert "inside the input folder" in fails("convert", series, series / "x.nii")
    assert "inside the input folder" in fails("convert", series, series / "deeper")
    assert "holds the input" in fails("convert", series / "0001.dcm", series, "--overwrite")
    assert "holds the input" in fails("convert", scan, tmp_path, "--overwrite")


def test_outputs_are_replaced_only_on_demand(
    ctgrid: Callable[..., Any], fails: Callable[..., str], scan: Path, tmp_path: Path
) -> None:
    for name in ("b.nrrd", "b"):
        assert ctgrid("convert", scan, tmp_path / name).exit_code == 0
        assert "--overwrite" in fails("convert", scan, tmp_path / name)
        assert ctgrid("convert", scan, tmp_path / name, "--overwrite").exit_code == 0


def test_values_too_large_for_the_dtype(fails: Callable[..., str], scan: Path, tmp_path: Path) -> None:
    image = nibabel.load(scan)
    wide = np.asanyarray(image.dataobj).astype(np.int32)
    wide[0, 0, 0] = 100_000
    nibabel.save(nibabel.Nifti1Image(wide, image.affine), tmp_path / "wide.nii")
    assert "int16 does not hold" in fails(
        "convert", tmp_path / "wide.nii", tmp_path / "b.nii", "--dtype", "int16", "--hu", "stored"
    )
    assert "16 bits" in fails("convert", tmp_path / "wide.nii", tmp_path / "b", "--hu", "stored")
    assert "16-bit integers" in fails("convert", scan, tmp_path / "b", "--dtype", "float32")
