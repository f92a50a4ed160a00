"""Several series in one folder: which one is read, and what is said about the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ctgrid import CtgridError, Volume
from ctgrid.scan.formats.open import read_stored


@pytest.fixture(scope="module")
def study(make_series: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PACS export: scout, small CT, chest CT with a scout inside, coronal CT, dose report, MR, secondary capture."""
    root = tmp_path_factory.mktemp("study")
    hu = np.random.default_rng(0).integers(-1000, 500, (12, 6, 7)).astype(np.int16)

    def add(name: str, n: int, number: int, uid: str, **tags: object) -> None:
        make_series(root / name, hu[:n], SeriesInstanceUID=uid, SeriesNumber=number, SeriesDescription=name, **tags)

    add("scout", 2, 1, "1.9.1", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    add("thin", 5, 2, "1.9.20")
    add("chest", 9, 3, "1.9.30")
    add("chest", 1, 3, "1.9.30", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], positions=[500.0], suffix="x")
    capture = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "ImagePositionPatient": None}
    add("chest", 1, 3, "1.9.30", suffix="y", SamplesPerPixel=3, PhotometricInterpretation="RGB", **capture)
    coronal = [(-100.0, 2.0 * i, 50.0) for i in range(12)]
    add("coronal", 12, 4, "1.9.120", positions=coronal, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    add("brain", 12, 5, "1.9.50", Modality="MR")
    add("dose", 1, 6, "1.9.60", Modality="SR", Rows=None, PixelData=None)
    add("capture", 3, 7, "1.9.70", SamplesPerPixel=3, PhotometricInterpretation="RGB")
    return root


def test_the_largest_axial_ct_is_taken_and_the_others_named(study: Path) -> None:
    scan = read_stored(study)
    assert scan.values.shape == (9, 6, 7)
    details = scan.details
    assert (details["series"], details["series_uid"], details["series_in_folder"]) == (3, "1.9.30", 7)
    assert details["files"] == 9
    assert details["notes"] == ["2 files of the series were left out: localizers, screenshots or reports"]
    reasons = {item["number"]: item.get("reason", "chosen") for item in details["series_list"]}
    assert list(reasons) == [1, 2, 3, 4, 5, 6, 7]
    for number, says in {
        1: "localizer",
        2: "it has 5 slices, series 3 has 9",
        3: "chosen",
        4: "not axial",
        5: "its modality is MR",
        6: "its modality is SR",
        7: "RGB",
    }.items():
        assert says in reasons[number]
    json.dumps(details)


@pytest.mark.parametrize(("series", "slices"), [("2", 5), ("1.9.20", 5), (".20", 5), ("120", 12), ("4", 12)])
def test_a_series_is_chosen_by_number_uid_or_ending(study: Path, series: str, slices: int) -> None:
    scan = read_stored(study, series)
    assert len(scan.values) == slices
    others = [item["reason"] for item in scan.details["series_list"] if item["number"] == 3]
    assert others[0].endswith("was asked for")


def test_a_coronal_series_keeps_its_geometry(study: Path) -> None:
    volume = Volume.read(study, hu="header", series="4")
    assert volume.orientation == "LIP"
    np.testing.assert_allclose(volume.spacing_mm, (2.0, 0.8, 0.7))
    np.testing.assert_allclose(volume.affine @ (0, 0, 3, 1), (100, -6, 50, 1), atol=1e-9)


@pytest.mark.parametrize(
    ("series", "says"),
    [
        ("9", "has no series '9'; choose one of 1 (CT, 2 files, scout), 2 (CT, 5 files, thin)"),
        ("", "has no series ''"),
        ("0", "has several series '0'"),
        ("5", "its modality is MR, not CT"),
        ("1", "localizer"),
    ],
)
def test_a_series_that_cannot_be_chosen(study: Path, series: str, says: str) -> None:
    with pytest.raises(CtgridError) as caught:
        read_stored(study, series)
    assert says in str(caught.value)


def test_a_refused_series_points_to_the_others(study: Path, make_series: Callable[..., Path], tmp_path: Path) -> None:
    hu = np.zeros((6, 4, 4), np.int16)
    make_series(tmp_path, hu, positions=[0, 1, 2, 4, 5, 6], SeriesInstanceUID="1.7.1", SeriesNumber=1)
    make_series(tmp_path, hu[:3], SeriesInstanceUID="1.7.2", SeriesNumber=2)
    with pytest.raises(CtgridError, match=r"slices are missing.*other series: 2 \(CT, 3 files\)"):
        read_stored(tmp_path)


def test_no_ct_at_all(make_series: Callable[..., Path], tmp_path: Path) -> None:
    make_series(tmp_path, np.zeros((3, 4, 4), np.int16), Modality="MR", SeriesDescription="brain")
    with pytest.raises(CtgridError, match=r"holds no CT series: series 1 \(MR, 3 files, brain\): its modality is MR"):
        read_stored(tmp_path)


def test_series_is_for_dicom_alone(chest_volume: Volume, tmp_path: Path) -> None:
    path = chest_volume.write(tmp_path / "a.nii.gz")
    with pytest.raises(CtgridError, match="is not DICOM"):
        Volume.read(path, series="1")
