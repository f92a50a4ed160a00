"""What a scan is said to be: grid, HU and how they are found, values; and all that can be said where HU cannot."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.scan.describe import describe_scan, summary
from ctgrid.scan.hu.metadata import MetadataTable
from ctgrid.scan.volume import Volume


def test_a_good_scan(chest_volume: Volume, tmp_path: Path) -> None:
    path = chest_volume.write(tmp_path / "a.nii.gz")
    found = json.loads(json.dumps(describe_scan(path)))
    assert found["shape"] == [24, 48, 64] and found["slices"] == 24 and found["dtype"] == "int16"
    assert found["orientation"] == chest_volume.orientation and not found["sheared"]
    np.testing.assert_allclose(found["spacing_mm"], chest_volume.spacing_mm, rtol=1e-5)
    np.testing.assert_allclose(found["field_of_view_mm"], np.multiply((24, 48, 64), chest_volume.spacing_mm), atol=2e-3)
    assert found["hu"]["source"] == "stored" and found["values"]["unit"] == "HU" and found["spacing"] is None
    assert found["values"]["max"] == chest_volume.hu.max() and "warnings" not in found["details"]


def test_hu_that_cannot_be_told_are_said_and_stored_values_shown(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 3000, (8, 20, 20)).astype(np.int16)
    path = tmp_path / "a.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values.transpose(2, 1, 0), np.diag([4, 4, 8, 1.0])), path)
    (tmp_path / "a_metadata.json").write_text('{"RescaleSlope": 2, "RescaleIntercept": -1024}')
    found = describe_scan(path)
    assert found["hu"]["source"] is None and "stored (slope 1, intercept 0) or sidecar" in found["hu"]["problem"]
    assert found["values"]["unit"] == "stored" and found["values"]["max"] == values.max()
    with pytest.raises(CtgridError, match="none"):
        describe_scan(tmp_path / "none.nii")


def test_a_row_that_cannot_be_read_is_a_warning(chest_volume: Volume, tmp_path: Path) -> None:
    image = nibabel.load(chest_volume.write(tmp_path / "w.nii"))
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine), tmp_path / "a.nii")
    (tmp_path / "m.csv").write_text("VolumeName,RescaleSlope,RescaleIntercept,XYSpacing,ZSpacing\na.nii,1,0,0,1\n")
    found = describe_scan(tmp_path / "a.nii", MetadataTable.read(tmp_path / "m.csv"))
    assert found["spacing"] is None and any("not positive" in text for text in found["warnings"])
    np.testing.assert_allclose(found["affine"], chest_volume.affine, atol=1e-4)


def test_summaries_pass_over_what_is_not_finite() -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    values[0, 0, 0], values[1, 2, 3], values[1, 0, 0] = np.nan, np.inf, -np.inf
    found = summary(values)
    kept = values[np.isfinite(values)]
    assert (found["min"], found["max"], found["not_finite"]) == (kept.min(), kept.max(), 3)
    assert found["mean"] == pytest.approx(kept.mean(), abs=1e-4)
    assert found["percentiles"]["50"] == pytest.approx(np.percentile(kept, 50))
    assert list(found["percentiles"]) == ["1", "5", "25", "50", "75", "95", "99"]
    nothing = summary(np.full((2, 2, 2), np.nan, np.float32))
    assert nothing == {"min": None, "max": None, "mean": None, "percentiles": {}, "not_finite": 8}


def test_a_wide_sum_overflows_nothing() -> None:
    found = summary(np.full((3, 300, 300), 32767, np.int16))
    assert (found["min"], found["max"], found["mean"]) == (32767, 32767, 32767)
