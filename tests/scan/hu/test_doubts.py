"""What was decided on weak evidence, in sentences that name no folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid.scan.formats.stored import StoredScan
from ctgrid.scan.hu.doubts import LARGEST_MM, SMALLEST_MM, doubts
from ctgrid.scan.hu.metadata import MetadataTable

SURE: dict[str, Any] = {"confirmed": True, "source": "stored", "slope": 1.0, "intercept": 0.0}
PATH = Path("/secret/Anna/a.nii.gz")


def scan(shape: tuple[int, int, int] = (10, 20, 30), kind: str = "nifti", **details: Any) -> StoredScan:
    return StoredScan(np.zeros(shape, np.int16), np.diag([10.0, 10.0, 10.0, 1.0]), kind, details=details)


def said(*arguments: Any, **options: Any) -> list[str]:
    found = doubts(*arguments, **options)
    assert all("Anna" not in text and "\n" not in text for text in found)
    return found


def test_a_scan_without_doubt_has_none_and_the_readers_own_come_first() -> None:
    assert said(scan(), PATH, scan().affine, SURE) == []
    found = said(scan(warnings=["its header lies"]), PATH, scan().affine, SURE | {"confirmed": False} | EVIDENCE)
    assert found[0] == "its header lies" and len(found) == 2


EVIDENCE: dict[str, Any] = {"evidence": {"range_hu": (0.0, 4095.0)}}


def test_sizes_that_no_chest_has() -> None:
    """The longest side decides; both bounds are still sizes of a chest."""
    for mm, odd in ((SMALLEST_MM / 30 * 0.99, True), (SMALLEST_MM / 30, False), (LARGEST_MM / 30, False), (101, True)):
        affine = np.diag([mm, mm, mm, 1.0])
        assert bool(said(scan(), PATH, affine, SURE)) == odd
    (text,) = said(scan(), PATH, np.diag([0.1, 0.2, 0.3, 1.0]), SURE)
    assert text == "is 3 x 4 x 3 mm in size, which no chest is; is its spacing in mm?"


def test_hu_that_nothing_confirms() -> None:
    plain = said(scan(), PATH, scan().affine, SURE | {"confirmed": False} | EVIDENCE)
    assert plain == [
        "nothing confirms that its values are HU (from 0 to 4095): no air and soft tissue where a CT has them"
    ]
    stored = said(scan(), PATH, scan().affine, SURE | {"confirmed": False, "looks_stored": -1024.0} | EVIDENCE)
    assert "look as stored, with an intercept of -1024 to come" in stored[0]
    assert said(scan(), PATH, scan().affine, {}) == []


def test_what_the_table_says(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("VolumeName,RescaleSlope,RescaleIntercept\nA,1,0\nb,1,0\n")
    table = MetadataTable.read(tmp_path / "m.csv")

    def of(name: str, kind: str = "nifti") -> list[str]:
        return said(scan(kind=kind), Path("/secret/Anna") / name, scan().affine, SURE, metadata=table)

    assert of("b.nii.gz") == [] and of("c.nii.gz") == ["m.csv has no row for it"]
    assert of("a.nii.gz") == ["m.csv calls it A, in other case; its row was used"]
    assert of("c", kind="dicom") == []


def test_spacings_that_differ() -> None:
    differ = {"header_mm": [2.5, 0.8, 0.7], "metadata_mm": [2.0, 0.75, 0.75], "file": "/secret/Anna/m.csv"}
    (held,) = said(scan(), PATH, scan().affine, SURE, {**differ, "used": "header"})
    assert held == "its header says 0.7 x 0.8 x 2.5 mm, m.csv 0.75 x 0.75 x 2 mm; the header holds"
    (used,) = said(scan(), PATH, scan().affine, SURE, {**differ, "used": "metadata"})
    assert used == "its header says nothing of the spacing; m.csv says 0.75 x 0.75 x 2 mm, which was used"


GRID = np.diag([-40.0, -40.0, 40.0, 1.0])


@pytest.mark.parametrize(
    ("top", "slope", "share", "told"),
    [
        (32767, 1.0, 0.02, True),
        (63536, 1.0, 0.02, True),
        (32767, 1.0, 0.001, False),
        (3071, 1.0, 0.02, False),
        (-32767, -1.0, 0.02, True),
        (2000, 2.0, 0.02, True),
    ],
    ids=["padding", "unsigned", "metal", "12 bits", "turned", "scaled"],
)
def test_padding_above_all_tissue_that_no_header_tells_of(top: int, slope: float, share: float, told: bool) -> None:
    """By the HU, whichever way the stored values run."""
    values = np.zeros((10, 10, 10), np.int32)
    values.reshape(-1)[: round(1000 * share)] = top
    hu = {"source": "stored", "slope": slope, "intercept": 0.0, "confirmed": True}
    said = doubts(StoredScan(values, GRID, "nifti"), Path("a.nii"), GRID, hu)
    assert said == ([f"2 % of its voxels hold {top * slope:g} HU, which no tissue has: undeclared padding?"] * told)
