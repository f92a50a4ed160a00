"""DICOM series written by ctgrid, as pydicom and SimpleITK see them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from ctgrid import CtgridError, Volume

TYPE_1 = """ImageType SOPClassUID SOPInstanceUID Modality StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID
PixelSpacing ImageOrientationPatient ImagePositionPatient SamplesPerPixel PhotometricInterpretation Rows Columns
BitsAllocated BitsStored HighBit PixelRepresentation PixelData RescaleIntercept RescaleSlope RescaleType"""
TYPE_2 = """PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime ReferringPhysicianName StudyID
AccessionNumber SeriesNumber PatientPosition PositionReferenceIndicator Manufacturer InstanceNumber SliceThickness KVP
AcquisitionNumber"""


@pytest.fixture
def chest_volume(chest: Callable[..., np.ndarray], oblique_affine: np.ndarray) -> Volume:
    """Return six slices on an oblique grid."""
    return Volume(chest((6, 24, 32)), oblique_affine)


def by_simpleitk(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def test_attributes_of_a_ct_image(chest_volume: Volume, tmp_path: Path) -> None:
    chest_volume.write(tmp_path / "out")
    files = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in files] == [f"{i:04}.dcm" for i in range(1, 7)]
    slices = [pydicom.dcmread(path) for path in files]
    for ds in slices:
        for name in TYPE_1.split():
            assert ds[name].value not in (None, "", []), name
        for name in TYPE_2.split():
            assert name in ds, name
        for element in ds:
            if element.VR == "DS" and element.value is not None:
                parts = element.value if element.VM > 1 else [element.value]
                assert all(len(str(part)) <= 16 for part in parts)
    first = slices[0]
    assert list(first.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
    assert first.SOPClassUID == pydicom.uid.CTImageStorage
    assert "ctgrid" in first.SeriesDescription
    assert [ds.InstanceNumber for ds in slices] == list(range(1, 7))
    assert len({ds.SOPInstanceUID for ds in slices}) == 6
    assert len({ds.SeriesInstanceUID for ds in slices}) == 1
    uids = [first.StudyInstanceUID, first.SeriesInstanceUID, first.FrameOfReferenceUID, first.SOPInstanceUID]
    assert len(set(uids)) == 4 and all(uid.is_valid for uid in uids)


def test_simpleitk_and_pydicom_read_the_same_voxels_and_points(chest_volume: Volume, tmp_path: Path) -> None:
    chest_volume.write(tmp_path / "out")
    image = by_simpleitk(tmp_path / "out")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), chest_volume.hu)
    for index in [(0, 0, 0), (31, 23, 5), (5, 20, 3)]:
        x, y, z = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((-x, -y, z), (chest_volume.affine @ (*index, 1))[:3], atol=1e-3)
    ds = pydicom.dcmread(tmp_path / "out" / "0003.dcm")
    hu = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
    np.testing.assert_array_equal(hu, chest_volume.hu[2])


def test_equal_volumes_give_equal_files_and_others_new_uids(chest_volume: Volume, tmp_path: Path) -> None:
    for name in ("one", "two"):
        chest_volume.write(tmp_path / name)
    assert (tmp_path / "one/0001.dcm").read_bytes() == (tmp_path / "two/0001.dcm").read_bytes()
    replace(chest_volume, hu=chest_volume.hu + np.int16(1)).write(tmp_path / "three")
    one, three = (pydicom.dcmread(tmp_path / name / "0001.dcm") for name in ("one", "three"))
    assert one.SeriesInstanceUID != three.SeriesInstanceUID and one.SOPInstanceUID != three.SOPInstanceUID


@pytest.mark.parametrize(("low", "high"), [(-1024, 3071), (-32768, 0), (0, 32767), (-20000, 40000)])
def test_sixteen_bits_hold_what_spans_them(tmp_path: Path, low: int, high: int) -> None:
    hu = np.linspace(low, high, 60).reshape(3, 4, 5).astype(np.float32)
    Volume(hu, np.eye(4)).write(tmp_path / "out")
    back = Volume.read(tmp_path / "out", hu="header")
    assert np.abs(back.hu - hu[::1]).max() <= 0.5
    assert pydicom.dcmread(tmp_path / "out" / "0001.dcm").RescaleSlope == 1


def test_what_dicom_cannot_hold_is_refused(tmp_path: Path) -> None:
    hu = np.zeros((3, 4, 5), np.int16)
    sheared = np.eye(4)
    sheared[0, 1] = 0.3
    with pytest.raises(CtgridError, match="rows and columns are not perpendicular"):
        Volume(hu, sheared).write(tmp_path / "out")
    with pytest.raises(CtgridError, match="do not fit into DICOM's 16 bits"):
        Volume(np.array([0, 1e5, 0], np.float32).reshape(1, 1, 3), np.eye(4)).write(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_gantry_tilt_is_kept(tmp_path: Path) -> None:
    tilted = np.diag([-0.7, -0.7, 2.5, 1.0])
    tilted[1, 2] = 0.3
    hu = np.random.default_rng(0).integers(-1000, 1000, (4, 5, 6)).astype(np.int16)
    Volume(hu, tilted).write(tmp_path / "out")
    back = Volume.read(tmp_path / "out", hu="header")
    np.testing.assert_array_equal(back.hu, hu)
    np.testing.assert_allclose(back.affine, tilted, atol=1e-9)
    assert back.record["gantry_tilt_deg"] > 6


def test_folders_are_replaced_only_on_demand_and_only_if_dicom(chest_volume: Volume, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    chest_volume.write(out)
    with pytest.raises(CtgridError, match="--overwrite"):
        chest_volume.write(out)
    replace(chest_volume, hu=chest_volume.hu[:3]).write(out, overwrite=True)
    assert len(list(out.iterdir())) == 3
    (out / "notes.txt").write_text("precious")
    with pytest.raises(CtgridError, match=r"holds notes\.txt, which is no DICOM file"):
        chest_volume.write(out, overwrite=True)
    assert len(list(out.iterdir())) == 4
    (tmp_path / "file").write_text("x")
    with pytest.raises(CtgridError, match="is a file"):
        chest_volume.write(tmp_path / "file", overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "out"]


def test_a_failure_leaves_the_old_series(chest_volume: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = chest_volume.write(tmp_path / "out")
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    real = pydicom.Dataset.save_as

    def fails_late(self: pydicom.Dataset, path: Path, **options: object) -> None:
        if self.InstanceNumber == 4:
            raise OSError(28, "No space left on device")
        real(self, path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(pydicom.Dataset, "save_as", fails_late)
    with pytest.raises(CtgridError, match="No space left"):
        chest_volume.write(out, overwrite=True)
    with pytest.raises(CtgridError, match="No space left"):
        chest_volume.write(tmp_path / "new")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


def test_the_mark_of_ctgrid(chest: Callable[..., np.ndarray], tmp_path: Path) -> None:
    volume = Volume(chest((8, 24, 32)), np.diag([-1.0, -1.0, 2.0, 1.0]))
    for name in ("a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a"):
        assert Volume.read(volume.write(tmp_path / name)).record["written_by_ctgrid"] is True


def test_maps_are_kept_in_steps_and_labels_are_no_hu(chest_volume: Volume, tmp_path: Path) -> None:
    """Rescaled exactly, looked at through a window of their own; descriptions fit their 64 letters."""
    sigma = np.linspace(0, 300, chest_volume.hu.size, dtype=np.float32).reshape(chest_volume.shape)
    shown = {"derived": "error SD of denoising", "step_hu": 0.125, "windows_hu": {"ERROR": (0.0, 50.0)}}
    Volume(np.rint(sigma * 8) / np.float32(8), chest_volume.affine, shown).write(tmp_path / "sigma")
    assert np.abs(Volume.read(tmp_path / "sigma").hu - sigma).max() <= 1 / 16
    first = pydicom.dcmread(tmp_path / "sigma" / "0001.dcm")
    assert (first.RescaleSlope, first.WindowCenter, first.WindowWidth) == (0.125, 25, 50)
    labels = {"derived": "changes beyond noise", "labels": "labels: 1 lowered, 2 raised"}
    Volume((sigma > 150).astype(np.int16), chest_volume.affine, labels).write(tmp_path / "labels")
    second = pydicom.dcmread(tmp_path / "labels" / "0001.dcm")
    assert second.RescaleType == "US" and "HU" not in second.SeriesDescription
    assert second.DerivationDescription.startswith("changes beyond noise by ctgrid, values are labels: 1 lowered")
    assert np.array_equal(Volume.read(tmp_path / "labels", hu="header").hu, sigma > 150)
    assert max(len(ds.SeriesDescription) for ds in (first, second)) <= 64
