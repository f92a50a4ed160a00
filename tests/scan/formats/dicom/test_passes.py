"""What shares a SeriesInstanceUID and is not one volume: other patients, other passes, scouts and dose sheets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from ctgrid import CtgridError
from ctgrid.scan.cases import find_cases, named
from ctgrid.scan.formats.open import read_stored
from ctgrid.scan.series import each_series

from .test_meaning import enhanced, item, transform

Make = Callable[..., Path]
MAP = {"RescaleSlope": 1, "RescaleIntercept": -1024}
HALF = [1.25 + 2.5 * i for i in range(6)]
WHOLE = [2.5 * i for i in range(6)]
ABOVE = [2.5 * (i + 6) for i in range(6)]


@pytest.fixture(scope="module")
def hu() -> np.ndarray:
    return np.random.default_rng(8).integers(-1000, 1000, (12, 5, 7)).astype(np.int16)


def two(make: Make, folder: Path, hu: np.ndarray, name: str, values: Any, second: Any = HALF, **tags: Any) -> Path:
    """Write two stacks of six slices that differ in one tag, in one folder."""
    for number, places in enumerate((WHOLE, second)):
        own = {**tags, name: values[number], "InstanceNumber": None}
        make(folder, hu[6 * number : 6 * number + 6], positions=places, suffix=f"{'ab'[number]}.dcm", **own)
    return folder


PASSES = [
    ("AcquisitionNumber", (1, 2)),
    ("TemporalPositionIdentifier", (1, 2)),
    ("TriggerTime", (0, 400)),
    ("NominalPercentageOfCardiacPhase", (40, 75)),
    ("KVP", (80, 140)),
    ("ConvolutionKernel", ("B30f", "B70f")),
    ("SeriesNumber", (3, 4)),
    ("AcquisitionTime", ("120000", "120100")),
]


@pytest.mark.parametrize(("name", "values"), PASSES)
def test_passes_among_each_other_are_volumes_of_their_own(
    make_series: Make, hu: np.ndarray, tmp_path: Path, name: str, values: Any
) -> None:
    two(make_series, tmp_path, hu, name, values)
    with pytest.raises(CtgridError, match=rf"2 volumes under one SeriesInstanceUID; .*--series.*{name} {values[0]}"):
        read_stored(tmp_path)
    for number in (1, 2):
        scan = read_stored(tmp_path, str(number))
        np.testing.assert_array_equal(scan.values, hu[6 * number - 6 : 6 * number])
    assert [part["part"] for part in scan.details["series_list"]] == [f"{name} {value}" for value in values]


@pytest.mark.parametrize(
    ("name", "values"), [*PASSES, ("ContentTime", ("120000", "120100")), ("InstanceNumber", (1, 1))]
)
def test_steps_that_follow_each_other_are_one_volume(
    make_series: Make, hu: np.ndarray, tmp_path: Path, name: str, values: Any
) -> None:
    scan = read_stored(two(make_series, tmp_path, hu, name, values, ABOVE))
    np.testing.assert_array_equal(scan.values, hu)


def test_acquisitions_of_one_slice_are_steps(make_series: Make, hu: np.ndarray, tmp_path: Path) -> None:
    times = [f"1200{i:02}" for i in range(12)]
    scan = read_stored(make_series(tmp_path, hu, AcquisitionNumber=list(range(12)), AcquisitionTime=times))
    np.testing.assert_array_equal(scan.values, hu)
    assert scan.details["notes"] == [] and "warnings" not in scan.details


def test_phases_of_one_place_can_be_chosen(make_series: Make, hu: np.ndarray, tmp_path: Path) -> None:
    two(make_series, tmp_path, hu, "TemporalPositionIdentifier", (1, 2), WHOLE)
    np.testing.assert_array_equal(read_stored(tmp_path, "2").values, hu[6:])


def test_stacks_of_a_multi_frame_file_can_be_chosen(hu: np.ndarray, tmp_path: Path) -> None:
    def stack(k: int) -> dict[str, Any]:
        return {"FrameContentSequence": [item(StackID=str(k % 2))]}

    path = enhanced(tmp_path / "a.dcm", hu, shared=transform(**MAP), frame=stack)
    with pytest.raises(CtgridError, match=r"1 \(CT, 6 slices, StackID 0\), 2 \(CT, 6 slices, StackID 1\)"):
        read_stored(path)
    np.testing.assert_array_equal(read_stored(path, "2").values, hu[1::2])


def test_instance_numbers_that_run_twice_are_said_aloud(make_series: Make, hu: np.ndarray, tmp_path: Path) -> None:
    make_series(tmp_path, hu[:6], positions=WHOLE, InstanceNumber=[1, 2, 3, 4, 5, 6])
    make_series(tmp_path, hu[6:], positions=HALF, suffix="b.dcm", InstanceNumber=[7, 8, 9, 10, 11, 12])
    assert "more than once" in read_stored(tmp_path).details["warnings"][0]


OWNERS = ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID")


@pytest.mark.parametrize("uid", ["1.2.3.4", None])
@pytest.mark.parametrize("name", OWNERS)
def test_two_owners_are_never_one_volume(
    make_series: Make, hu: np.ndarray, tmp_path: Path, name: str, uid: str | None
) -> None:
    two(make_series, tmp_path, hu, name, ("1.7", "1.8"), ABOVE, SeriesInstanceUID=uid)
    with pytest.raises(CtgridError, match=rf"holds 2 volumes under .*SeriesInstanceUID.*{name} 2 of 2") as caught:
        read_stored(tmp_path)
    assert "1.7" not in str(caught.value)  # nobody is named
    np.testing.assert_array_equal(read_stored(tmp_path, "1").values, hu[:6])
    cases = list(each_series(named(find_cases([tmp_path]))))
    assert [(case.series, case.left_out) for case in cases] == [("1", None), ("2", None)]


@pytest.mark.parametrize("name", OWNERS)
def test_a_file_that_names_no_owner_belongs_to_the_only_one(
    make_series: Make, hu: np.ndarray, tmp_path: Path, name: str
) -> None:
    scan = read_stored(two(make_series, tmp_path, hu, name, ("1.7", None), ABOVE))
    np.testing.assert_array_equal(scan.values, hu)


def test_without_any_uid_folders_tell_scans_apart(make_series: Make, hu: np.ndarray, tmp_path: Path) -> None:
    none = dict.fromkeys(("SeriesInstanceUID", "StudyInstanceUID", "PatientID"))
    make_series(tmp_path / "a", hu[:6], positions=WHOLE, **none)
    make_series(tmp_path / "b", hu[6:], positions=ABOVE, **none)
    with pytest.raises(CtgridError, match=r"without SeriesInstanceUID.*folder 2 of 2"):
        read_stored(tmp_path)


def test_frames_of_reference_that_are_all_different_tell_nothing(
    make_series: Make, hu: np.ndarray, tmp_path: Path
) -> None:
    scan = read_stored(make_series(tmp_path, hu, FrameOfReferenceUID=[f"1.2.{i}" for i in range(12)]))
    np.testing.assert_array_equal(scan.values, hu)


def test_what_differs_is_noted_whole(make_series: Make, hu: np.ndarray, tmp_path: Path) -> None:
    details = read_stored(
        make_series(tmp_path, hu, ConvolutionKernel=["B30f"] * 7 + ["B70f"] * 5, KVP=120, SliceThickness=[1.0] * 12)
    ).details
    assert details["varies"] == {"kernel": {"B30f": 7, "B70f": 5}}
    assert details["kernel"] == "B30f | B70f" and (details["kvp"], details["slice_thickness_mm"]) == ("120.0", 1.0)
    assert details["notes"] == ["differs between slices: kernel (B30f: 7 slices, B70f: 5 slices)"]


def test_two_ways_to_lie_are_refused(make_series: Make, hu: np.ndarray, tmp_path: Path) -> None:
    make_series(tmp_path, hu, PatientPosition=["HFS"] * 7 + ["FFS"] * 5)
    with pytest.raises(CtgridError, match="PatientPosition is mixed, HFS: 7 slices, FFS: 5 slices"):
        read_stored(tmp_path)


SCOUT = {"ImageType": ["ORIGINAL", "PRIMARY"], "ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}
SHEET = dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"))
SHEET = SHEET | {"ImageType": ["DERIVED", "SECONDARY", "OTHER"]}


@pytest.mark.parametrize(("tags", "rescale"), [(SCOUT, (1.0, -1024.0)), (SHEET, None)])
@pytest.mark.parametrize("same_size", [True, False])
def test_scouts_and_dose_sheets_are_known_without_a_word(
    make_series: Make, hu: np.ndarray, tmp_path: Path, tags: Any, rescale: Any, same_size: bool
) -> None:
    make_series(tmp_path, hu, AcquisitionNumber=2)
    other = hu[:2] if same_size else hu[:2, :4, :4]
    make_series(tmp_path, other, suffix="x.dcm", rescale=rescale, AcquisitionNumber=1, **tags)
    scan = read_stored(tmp_path)
    np.testing.assert_array_equal(scan.values, hu)
    assert "2 files of the series were left out" in scan.details["warnings"][0]
    assert scan.details["series_list"][0]["files"] == 14


def test_a_scout_excuses_no_gap(make_series: Make, hu: np.ndarray, tmp_path: Path) -> None:
    make_series(tmp_path, hu, positions=[2.5 * i + 2.5 * (i > 5) for i in range(12)])
    make_series(tmp_path, hu[:1, :4, :4], suffix="x.dcm", **SCOUT)
    with pytest.raises(CtgridError, match="slices are missing, 1 between"):
        read_stored(tmp_path)


def compressed(path: Path, values: np.ndarray, how: str, **tags: Any) -> None:
    """Compress a slice's values as they are, then let its header say something else."""
    writer = sitk.ImageFileWriter()
    writer.UseCompressionOn()
    writer.SetCompressor(how)
    writer.SetFileName(str(path.with_suffix(".tmp.dcm")))
    writer.Execute(sitk.GetImageFromArray(values[None]))
    made = pydicom.dcmread(path.with_suffix(".tmp.dcm"))
    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = made.file_meta.TransferSyntaxUID
    ds.PixelData = made.PixelData
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    for name, value in tags.items():
        setattr(ds, name, value)
    pydicom.dcmwrite(path, ds)
    path.with_suffix(".tmp.dcm").unlink()


@pytest.mark.parametrize("how", ["JPEG", "JPEG2000"])
@pytest.mark.parametrize(
    ("dtype", "bits", "signed"), [(np.uint16, 12, 1), (np.uint16, 16, 1), (np.int16, 16, 0), (np.int16, 12, 1)]
)
def test_a_stream_that_contradicts_its_header(
    make_series: Make, hu: np.ndarray, tmp_path: Path, how: str, dtype: Any, bits: int, signed: int
) -> None:
    """Two's complement in an unsigned stream; a signed stream under an unsigned header; more bits than stated."""
    if how == "JPEG" and dtype == np.int16 and not signed:
        pytest.skip("JPEG knows no sign: such a header is all there is to go by")
    make_series(tmp_path, hu[:1], rescale=(1.0, 0.0))
    path = next(tmp_path.iterdir())
    values = (hu[0].astype(np.int32) & ((1 << bits) - 1)).astype(np.uint16) if dtype == np.uint16 else hu[0]
    compressed(path, np.tile(values, (8, 6)), how, BitsStored=bits, HighBit=bits - 1, PixelRepresentation=signed)
    ds = pydicom.dcmread(path)
    ds.Rows, ds.Columns = 40, 42
    pydicom.dcmwrite(path, ds)
    np.testing.assert_array_equal(read_stored(path).values[0], np.tile(hu[0], (8, 6)))
