"""What shares a SeriesInstanceUID and is not one volume: other patients, other passes, scouts and dose sheets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
