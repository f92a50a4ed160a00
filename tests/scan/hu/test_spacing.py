"""A header's spacing against what the collection's metadata state: the header holds, unless it says nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.scan.formats.stored import StoredScan
from ctgrid.scan.hu.metadata import MetadataTable
from ctgrid.scan.hu.spacing import audit_scan, audit_spacing

TABLE = (
    "VolumeName,RescaleIntercept,RescaleSlope,XYSpacing,ZSpacing\n"
    'train_1_a_1.nii.gz,-1024,1,"[0.75, 0.75]",1.5\n'
    'train_1_a_2.nii.gz,-8192.0,1.0,"[0.6, 0.8]",0.625\n'
    "bad.nii.gz,0,1,0,1\n"
)


def table(tmp_path: Path) -> MetadataTable:
    (tmp_path / "m.csv").write_text(TABLE)
    return MetadataTable.read(tmp_path / "m.csv")


def test_the_header_spacing_holds_where_it_says_something(tmp_path: Path) -> None:
    row = table(tmp_path).row("train_1_a_1")
    affine = np.diag([-0.8, -0.8, 1.5, 1.0])
    used, record = audit_spacing(affine, row)
    np.testing.assert_array_equal(used, affine)
    assert record is not None
    assert record["used"] == "header"
    np.testing.assert_allclose(record["header_mm"], (1.5, 0.8, 0.8))
    np.testing.assert_allclose(record["metadata_mm"], (1.5, 0.75, 0.75))
    assert audit_spacing(np.diag([-0.7499, 0.751, 1.501, 1.0]), row)[1] is None
    assert audit_spacing(affine, None) == (affine, None)


def test_metadata_fill_a_header_that_says_nothing(tmp_path: Path) -> None:
    row = table(tmp_path).row("train_1_a_2")
    affine = np.array([[0, -1, 0, 5], [-1, 0, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1.0]])
    assert audit_spacing(affine, row)[0] is affine  # the caller knows of codes and origin
    used, record = audit_spacing(affine, row, blank=True)
    assert record is not None
    assert record["used"] == "metadata"
    np.testing.assert_allclose(used, [[0, -0.8, 0, 5], [-0.6, 0, 0, 6], [0, 0, 0.625, 7], [0, 0, 0, 1]])
    np.testing.assert_array_equal(affine[0], [0, -1, 0, 5])


def test_files_whose_geometry_is_right_are_not_audited(tmp_path: Path) -> None:
    found, path = table(tmp_path), tmp_path / "train_1_a_1.nii.gz"
    values = np.zeros((2, 2, 2), np.int16)
    assert audit_scan(StoredScan(values, np.eye(4), "nifti"), path, found)[1] is not None
    assert audit_scan(StoredScan(values, np.eye(4), "dicom"), path, found)[1] is None
    ours = StoredScan(values, np.eye(4), "nifti", details={"written_by_ctgrid": True})
    assert audit_scan(ours, path, found)[1] is None


def test_json_comes_before_the_table_and_one_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    path, scan = tmp_path / "train_1_a_1.nii.gz", StoredScan(np.zeros((2, 2, 2), np.int16), np.eye(4), "nifti")
    sidecar = tmp_path / "train_1_a_1_metadata.json"
    sidecar.write_text('{"RescaleSlope": 1, "RescaleIntercept": 0, "XYSpacing": "[0.5, 0.5]", "ZSpacing": 3}')
    found = audit_scan(scan, path, table(tmp_path))[1]
    assert found is not None and found["metadata_mm"] == [3.0, 0.5, 0.5] and found["file"] == str(sidecar)
    for text in ('{"RescaleSlope": 1, "RescaleIntercept": 0}', "damaged"):
        sidecar.write_text(text)
        found = audit_scan(scan, path, table(tmp_path))[1]
        assert found is not None and found["metadata_mm"] == [1.5, 0.75, 0.75]
    with pytest.raises(CtgridError, match=r"m\.csv, line 4 \(bad\): .*not positive"):
        audit_scan(scan, tmp_path / "bad.nii.gz", table(tmp_path))
