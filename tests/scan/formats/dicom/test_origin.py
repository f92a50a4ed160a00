"""A written series says only what is true: whose it is, what it was made from, what was done to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.config import RAISE
from pydicom.uid import generate_uid
from pydicom.valuerep import validate_value

from ctgrid import Volume

IDENTITY = {
    **{"PatientName": "Müller^Anna", "PatientID": "4711", "PatientBirthDate": "19500101", "PatientSex": "F"},
    **{"StudyDate": "20240102", "StudyTime": "101112", "AccessionNumber": "A-1", "StudyID": "S1"},
    **{"StudyDescription": "Thorax", "SeriesDescription": "Thorax 1.0 B70f sharp kernel", "KVP": "120"},
}
TYPE_1 = """ImageType SOPClassUID SOPInstanceUID Modality StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID
PixelSpacing ImageOrientationPatient ImagePositionPatient Rows Columns PixelData RescaleType"""
TYPE_2 = """PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime ReferringPhysicianName StudyID
AccessionNumber SeriesNumber PatientPosition PositionReferenceIndicator Manufacturer InstanceNumber KVP"""


@pytest.fixture
def clinical(chest_volume: Volume, tmp_path: Path) -> Path:
    """Return the folder of a series of a patient, as an archive holds it."""
    folder = chest_volume.write(tmp_path / "ct")
    study, series = generate_uid(), generate_uid()
    for path in folder.iterdir():
        dataset = dcmread(path)
        for name, value in IDENTITY.items():
            setattr(dataset, name, value)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SeriesNumber = study, series, 3
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.save_as(path)
    return folder


def slices(folder: Path) -> list[Dataset]:
    return [dcmread(path) for path in sorted(folder.iterdir())]


def check_ct(dataset: Dataset) -> None:
    """Check what the CT Image IOD asks of every object, and that no value breaks its VR."""
    for name in TYPE_1.split():
        assert dataset[name].value not in (None, "", []), name
    for name in TYPE_2.split():
        assert name in dataset, name
    for element in dataset.iterall():
        if element.VR != "SQ":
            for value in element.value if element.VM > 1 else [element.value]:
                if element.VR in ("CS", "DA", "DS", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UI"):
                    validate_value(element.VR, "" if value is None else str(value), RAISE)
    for sequence, needed in (("SourceImageSequence", "ReferencedSOPInstanceUID"), ("ReferencedSeriesSequence", "")):
        for item in dataset.get(sequence, []):
            inner = item.ReferencedInstanceSequence if not needed else [item]
            assert all(one.ReferencedSOPClassUID and one.ReferencedSOPInstanceUID for one in inner)


@pytest.mark.parametrize("derived", ["converted", "denoised"])
def test_a_derived_series_stays_in_its_study(clinical: Path, tmp_path: Path, derived: str) -> None:
    volume = Volume.read(clinical)
    noted = replace(volume, record={**volume.record, "derived": derived})
    noted.write(tmp_path / "out", template=clinical)
    before = {float(one.ImagePositionPatient[2]): one for one in slices(clinical)}
    found = slices(tmp_path / "out")
    for one in found:
        check_ct(one)
        source = before[min(before, key=lambda z: abs(z - one.ImagePositionPatient[2]))]
        for name in ("StudyInstanceUID", "FrameOfReferenceUID", *IDENTITY):
            if name != "SeriesDescription":
                assert one[name].value == source[name].value, name
        assert one.SeriesInstanceUID != source.SeriesInstanceUID and one.SOPInstanceUID != source.SOPInstanceUID
        assert list(one.ImageType)[:2] == ["DERIVED", "SECONDARY"]
        assert (
            one.SeriesDescription.startswith(f"Thorax 1.0 B70f {derived} by ctgrid")
            and len(one.SeriesDescription) <= 64
        )
        assert derived in one.DerivationDescription and one.SeriesNumber != 3
        assert [r.ReferencedSOPInstanceUID for r in one.SourceImageSequence] == [source.SOPInstanceUID]
        assert one.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID
        assert "PatientIdentityRemoved" not in one and "BurnedInAnnotation" not in one
    back = Volume.read(tmp_path / "out")
    np.testing.assert_array_equal(back.hu, volume.hu)
    assert back.record["written_by_ctgrid"] and "Müller" not in str(back.record) + str(volume.record)


def test_what_is_done_twice_makes_two_series(clinical: Path, tmp_path: Path) -> None:
    volume = Volume.read(clinical)
    for name in ("converted", "denoised"):
        replace(volume, record={**volume.record, "derived": name}).write(tmp_path / name, template=clinical)
    uids = {slices(tmp_path / name)[0].SeriesInstanceUID for name in ("converted", "denoised")}
    assert len(uids) == 2


def test_a_volume_of_unknown_origin_invents_no_identity(chest_volume: Volume, tmp_path: Path) -> None:
    chest_volume.write(tmp_path / "out")
    for one in slices(tmp_path / "out"):
        check_ct(one)
        assert not one.PatientName and not one.PatientID and not one.StudyDate
        assert "made up" in one.DerivationDescription
        for claim in ("PatientIdentityRemoved", "DeidentificationMethod", "BurnedInAnnotation", "SourceImageSequence"):
            assert claim not in one
        assert "SyntheticData" not in one


def test_what_was_made_says_so(tmp_path: Path) -> None:
    from ctgrid.data.simulate.phantom import phantom

    phantom(3, (6, 64, 64), (5.0, 6.0, 6.0)).write(tmp_path / "out")
    for one in slices(tmp_path / "out"):
        check_ct(one)
        assert one.SyntheticData == "YES" and "synthetic" in one.SeriesDescription and not one.PatientID


def test_claims_of_the_source_are_handed_on_as_they_are(clinical: Path, tmp_path: Path) -> None:
    for path in clinical.iterdir():
        dataset = dcmread(path)
        dataset.PatientIdentityRemoved, dataset.DeidentificationMethod = "YES", "trial office"
        dataset.BurnedInAnnotation = "NO"
        dataset.save_as(path)
    Volume.read(clinical).write(tmp_path / "out", template=clinical)
    one = slices(tmp_path / "out")[0]
    assert (one.PatientIdentityRemoved, one.DeidentificationMethod, one.BurnedInAnnotation) == (
        *("YES", "trial office", "NO"),
    )


def test_commands_keep_the_study(clinical: Path, tmp_path: Path) -> None:
    from ctgrid.runs.denoising.cases import write_case
    from ctgrid.runs.denoising.jobs import Job

    volume = Volume.read(clinical)
    job = Job(clinical, tmp_path / "out", residual=tmp_path / "rest")
    write_case(job, volume, replace(volume, hu=volume.hu - np.int16(3)), overwrite=False, many=False)
    patients = {one.PatientID for folder in ("out", "rest") for one in slices(tmp_path / folder)}
    assert patients == {"4711"}
    assert "denoised by ctgrid" in slices(tmp_path / "out")[0].SeriesDescription
