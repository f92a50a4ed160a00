"""Maps and units of stored values, wherever a DICOM header may state them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage

from ctgrid import CtgridError
from ctgrid.scan.formats.open import read_stored

from ..conftest import write_slice

MAP = {"RescaleSlope": 1, "RescaleIntercept": -1024}
OTHER = {"RescaleSlope": 2, "RescaleIntercept": -1024}
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def hu() -> np.ndarray:
    return np.random.default_rng(5).integers(-1000, 1000, (6, 5, 7)).astype(np.int16)


def item(**tags: Any) -> Dataset:
    holder = Dataset()
    for name, value in tags.items():
        setattr(holder, name, value)
    return holder


def real_world(unit: str, slope: float = 1, intercept: float = -1024, **more: Any) -> Dataset:
    code = item(CodeValue=unit, CodingSchemeDesignator="UCUM", CodeMeaning=unit)
    return item(
        RealWorldValueSlope=slope, RealWorldValueIntercept=intercept, MeasurementUnitsCodeSequence=[code], **more
    )


def enhanced(path: Path, hu: np.ndarray, **where: Any) -> Path:
    """Write a multi-frame file; ``root``, ``shared`` and ``frame`` (a function of its number) take the map's tags."""
    moved = ("RescaleSlope", "RescaleIntercept", "PixelSpacing", "SliceThickness", "ImageOrientationPatient")
    tags = dict.fromkeys(moved) | where.get("root", {})
    ds = write_slice(path, hu.reshape(-1, hu.shape[2]), (1.0, -1024.0), **tags)
    ds.SOPClassUID, ds.NumberOfFrames, ds.Rows = EnhancedCTImageStorage, len(hu), hu.shape[1]
    ds.SharedFunctionalGroupsSequence = [
        item(
            PixelMeasuresSequence=[item(PixelSpacing=[0.8, 0.7], SliceThickness=2.5)],
            PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            **where.get("shared", {}),
        )
    ]
    ds.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, 2.5 * k])],
            **(where["frame"](k) if "frame" in where else {}),
        )
        for k in range(len(hu))
    ]
    pydicom.dcmwrite(path, ds)
    return path


def transform(**tags: Any) -> dict[str, list[Dataset]]:
    return {"PixelValueTransformationSequence": [item(**tags)]}


@pytest.mark.parametrize(
    "where",
    [
        {"root": MAP},
        {"shared": transform(**MAP)},
        {"frame": lambda k: transform(**MAP, RescaleType="HU")},
        {"root": MAP, "shared": transform(**MAP, RescaleType="Hounsfield Units")},
        {"shared": {"RealWorldValueMappingSequence": [real_world("[hnsf'U]")]}},
        {"root": {"RealWorldValueMappingSequence": [real_world("[hnsf'U]")]}},
    ],
)
def test_a_multi_frame_file_may_state_its_map_anywhere(hu: np.ndarray, tmp_path: Path, where: Any) -> None:
    scan = read_stored(enhanced(tmp_path / "a.dcm", hu, **where))
    np.testing.assert_array_equal(scan.values, hu)
    assert scan.applied == (1.0, -1024.0)


def test_frames_have_maps_of_their_own(hu: np.ndarray, tmp_path: Path) -> None:
    path = enhanced(
        tmp_path / "a.dcm", hu, frame=lambda k: transform(RescaleSlope=1 + k, RescaleIntercept=-10 * k), root=MAP
    )
    with pytest.raises(CtgridError, match="state different maps to HU"):
        read_stored(path)
    path = enhanced(tmp_path / "a.dcm", hu, frame=lambda k: transform(RescaleSlope=1 + k, RescaleIntercept=-10 * k))
    expected = [(plane.astype(int) + 1024) * (1 + k) - 10 * k for k, plane in enumerate(hu)]
    np.testing.assert_array_equal(read_stored(path).values, expected)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ({"frame": lambda k: transform(**MAP, RescaleType="Z_EFF" if k == 3 else "HU")}, "Z_EFF, not HU, in 1 of 6"),
        ({"shared": transform(**MAP, RescaleType="ED")}, "its values are ED, not HU"),
        ({"root": MAP | {"RescaleType": "MGML"}, "shared": transform(**MAP)}, "its values are MGML, not HU"),
        ({"root": OTHER, "shared": transform(**MAP)}, "state different maps to HU"),
        ({"shared": {"RealWorldValueMappingSequence": [real_world("mg/cm3")]}}, "gives mg/cm3, not HU"),
        ({"root": MAP | {"RealWorldValueMappingSequence": [real_world("1")]}}, "gives 1, not HU"),
        (
            {"shared": transform(**MAP) | {"RealWorldValueMappingSequence": [real_world("[hnsf'U]", 2)]}},
            "two different maps to HU",
        ),
        (
            {"root": {"RealWorldValueMappingSequence": [real_world("[hnsf'U]"), real_world("[hnsf'U]", 2)]}},
            "by several maps",
        ),
        ({"root": MAP | {"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "EFF_ATOMIC_NUM"]}}, "EFF_ATOMIC_NUM"),
    ],
)
def test_other_units_and_contradictions_are_refused(hu: np.ndarray, tmp_path: Path, where: Any, says: str) -> None:
    with pytest.raises(CtgridError, match=says):
        read_stored(enhanced(tmp_path / "a.dcm", hu, **where))


def test_a_real_world_map_holds_for_its_values_alone(hu: np.ndarray, tmp_path: Path) -> None:
    ends = {"RealWorldValueFirstValueMapped": 0, "RealWorldValueLastValueMapped": 2023}
    root = {"RealWorldValueMappingSequence": [real_world("[hnsf'U]", **ends)]}
    np.testing.assert_array_equal(read_stored(enhanced(tmp_path / "a.dcm", hu, root=root)).values, hu)
    with pytest.raises(CtgridError, match="beyond 0 to 2023"):
        read_stored(enhanced(tmp_path / "b.dcm", np.maximum(hu, 1000), root=root))


@pytest.mark.parametrize(
    ("kind", "note"),
    [("HOUNSFIELD", None), ("hu ", None), (None, None), ("US", "unspecified"), ("HU_MOD", "modified HU")],
)
def test_spellings_of_hu(make_series: Make, hu: np.ndarray, tmp_path: Path, kind: str | None, note: str | None) -> None:
    scan = read_stored(make_series(tmp_path, hu, RescaleType=kind))
    np.testing.assert_array_equal(scan.values, hu)
    assert [note in said for said in scan.details["notes"]] == ([] if note is None else [True])


def test_a_type_in_one_slice_counts(make_series: Make, hu: np.ndarray, tmp_path: Path) -> None:
    make_series(tmp_path, hu, RescaleType=["HU"] * 5 + ["Z_EFF"])
    with pytest.raises(CtgridError, match="Z_EFF, not HU, in 1 of 6 slices"):
        read_stored(tmp_path)


def table(kind: str, factor: int = 1) -> Dataset:
    data = (np.arange(2048) * factor).astype("<u2").tobytes()
    made = item(ModalityLUTType=kind, LUTDescriptor=[2048, 0, 16], LUTData=data)
    made["LUTDescriptor"].VR, made["LUTData"].VR = "US", "OW"
    return made


def test_a_table_to_hu_is_applied(make_series: Make, hu: np.ndarray, tmp_path: Path) -> None:
    stored = np.abs(hu)
    make_series(tmp_path, stored, rescale=None, ModalityLUTSequence=[table("HU", 3)], PixelRepresentation=0)
    scan = read_stored(tmp_path)
    np.testing.assert_array_equal(scan.values, stored * 3)
    assert scan.applied is None and "ModalityLUTSequence" in scan.details["notes"][0]


@pytest.mark.parametrize(
    ("made", "rescale", "says"),
    [
        (table("US"), None, "gives US, not HU"),
        (table("Z_EFF"), None, "gives Z_EFF, not HU"),
        (table("HU"), (1.0, -1024.0), "both a ModalityLUTSequence and RescaleSlope"),
        (table("HU", 40), None, "which are no HU"),
    ],
)
def test_other_tables_are_refused(
    make_series: Make, hu: np.ndarray, tmp_path: Path, made: Dataset, rescale: Any, says: str
) -> None:
    make_series(tmp_path, np.abs(hu), rescale=rescale, ModalityLUTSequence=[made], PixelRepresentation=0)
    with pytest.raises(CtgridError, match=says):
        read_stored(tmp_path)


def test_a_table_in_some_slices_is_refused(make_series: Make, hu: np.ndarray, tmp_path: Path) -> None:
    make_series(tmp_path, np.abs(hu[:4]), rescale=None, ModalityLUTSequence=[table("HU")], PixelRepresentation=0)
    make_series(tmp_path / "b", np.abs(hu[4:]), positions=[-290, -287.5], rescale=None, PixelRepresentation=0)
    with pytest.raises(CtgridError, match="4 of 6 slices have a ModalityLUTSequence"):
        read_stored(tmp_path)
