"""One file's header as plain values: single slices, functional groups, what names nobody."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from ctgrid.scan.formats.dicom.files import DicomFile
from ctgrid.scan.formats.dicom.header import Header, read_header, read_headers


def item(**tags: Any) -> Dataset:
    made = Dataset()
    for name, value in tags.items():
        setattr(made, name, value)
    return made


def header(tmp_path: Path, name: str = "f/a.dcm", **tags: Any) -> Header | None:
    """Return the header of a small CT slice with some tags replaced, or (None) removed."""
    known = {"SOPClassUID": CTImageStorage, "SOPInstanceUID": "1.2", "Modality": "CT", "SeriesInstanceUID": "1.2.3"}
    known |= {"Rows": 4, "Columns": 5, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"}
    known |= {"BitsAllocated": 16, "PixelData": bytes(40)}
    ds = item(**{key: value for key, value in (known | tags).items() if value is not None})
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = CTImageStorage, "1.2"
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, ds, enforce_file_format=True)
    path = tmp_path / "a.dcm"
    path.write_bytes(stream.getvalue())
    return read_header(DicomFile(name, path=path), 3)


def known(tmp_path: Path, **tags: Any) -> Header:
    found = header(tmp_path, **tags)
    assert found is not None
    return found


def test_a_slice_as_it_says(tmp_path: Path) -> None:
    found = known(
        tmp_path,
        ImagePositionPatient=[1, 2, 3.5],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        PixelSpacing=[0.8, 0.7],
        SliceThickness=2.5,
        InstanceNumber=7,
        ImageType=["original", "PRIMARY"],
        KVP=120,
        AcquisitionNumber=2,
        PatientID="12",
        PatientName="Doe^Jane",
        SeriesDescription="Thorax",
    )
    (frame,) = found.frames
    assert (frame.file, frame.number, frame.position, frame.spacing) == (3, 0, (1, 2, 3.5), (0.8, 0.7))
    assert (frame.thickness, frame.distance, found.instance, found.count) == (2.5, None, 7, 1)
    assert float(frame.labels["KVP"]) == 120 and frame.labels["AcquisitionNumber"] == "2" and len(frame.labels) == 2
    assert found.image_type == ("ORIGINAL", "PRIMARY") and found.facts["series_description"] == "Thorax"
    assert found.belongs["PatientID"] == "12" and "Doe" not in repr(found) and "12'" not in repr(found)
    assert not found.is_localizer and not found.is_capture


@pytest.mark.parametrize(
    ("tags", "localizer", "capture"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, True, False),
        ({"ImageType": ["DERIVED", "scout"]}, True, False),
        ({"Modality": "SCOUT"}, True, False),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, False, True),
        ({}, False, False),
    ],
)
def test_overviews_and_captures(tags: dict[str, Any], localizer: bool, capture: bool, tmp_path: Path) -> None:
    found = known(tmp_path, **tags)
    assert (found.is_localizer, found.is_capture) == (localizer, capture)


def test_without_a_series_uid_number_description_and_folder_stand_for_it(tmp_path: Path) -> None:
    found = known(tmp_path, SeriesInstanceUID=None, SeriesNumber=4, SeriesDescription="a")
    assert (found.series_uid, found.belongs["SeriesNumber"], found.belongs["folder"]) == ("", "4", "f")
    assert "folder" not in known(tmp_path, SeriesNumber=4).belongs


def test_functional_groups_come_first_and_the_shared_ones_after(tmp_path: Path) -> None:
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=[0.8, 0.7], SliceThickness=1.5)],
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
    )
    own = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, z])],
            FrameContentSequence=[item(StackID=str(z))],
        )
        for z in (4, 2)
    ]
    enhanced = {"SOPClassUID": EnhancedCTImageStorage, "NumberOfFrames": 2, "SharedFunctionalGroupsSequence": [shared]}
    found = known(tmp_path, PerFrameFunctionalGroupsSequence=own, **enhanced)
    assert [(f.number, f.position, f.thickness, f.labels["StackID"]) for f in found.frames] == [
        *((0, (0, 0, 4), 1.5, "4"), (1, (0, 0, 2), 1.5, "2"))
    ]
    assert found.frames[0].orientation == (1, 0, 0, 0, 1, 0) and found.count == 2
    fewer = known(tmp_path, PerFrameFunctionalGroupsSequence=own[:1], **enhanced)
    assert [f.position for f in fewer.frames] == [None], "groups for some frames alone place none"


def test_what_is_no_object_is_none(tmp_path: Path) -> None:
    assert header(tmp_path, SOPClassUID="1.2.840.10008.1.3.10") is None  # a DICOMDIR
    found = known(tmp_path, Rows=None)
    assert found.frames == () and found.rows == 0


def test_what_ends_early_or_says_nothing_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not say what it is"):
        header(tmp_path, SOPClassUID=None, Modality=None)
    (tmp_path / "b").write_bytes(bytes(128) + b"DICM" + b"\xff" * 50)
    with pytest.raises(ValueError, match="b does not say what it is"):
        read_header(DicomFile("b", path=tmp_path / "b"), 0)
    assert known(tmp_path, PixelData=None).cut_short
    assert not known(tmp_path).cut_short
    report = known(tmp_path, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Rows=None, PixelData=None)
    assert not report.cut_short, "a report has no pixels"


def test_headers_are_set_apart_from_the_damaged(tmp_path: Path) -> None:
    known(tmp_path)
    (tmp_path / "b.dcm").write_bytes((tmp_path / "a.dcm").read_bytes()[:300])
    files = [DicomFile(name, path=tmp_path / name) for name in ("a.dcm", "b.dcm")]
    found = read_headers(files)
    assert [header.file.name for header in found.whole] == ["a.dcm"]
    assert found.damaged == (files[1],)
