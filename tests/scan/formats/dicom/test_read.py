"""DICOM series: read to HU and millimetres, or refused with the reason."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, EnhancedCTImageStorage, ImplicitVRLittleEndian, RLELossless

from ctgrid import CtgridError, Volume
from ctgrid.scan.formats.open import read_stored

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def hu() -> np.ndarray:
    """Eight small slices, all different."""
    return RNG.integers(-1000, 1000, (8, 6, 7)).astype(np.int16)


def refusal(path: Path, series: str | None = None) -> str:
    with pytest.raises(CtgridError) as caught:
        read_stored(path, series)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message and len(message) < 500
    return message


def test_ordered_by_position_whatever_names_suffixes_and_folders(
    make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path
) -> None:
    make_series(tmp_path / "s", hu)
    files = sorted((tmp_path / "s").iterdir())
    (tmp_path / "s" / "deep" / "er").mkdir(parents=True)
    files[0].rename(tmp_path / "s" / "deep" / "er" / "IM0")
    files[1].rename(tmp_path / "s" / "IM1")
    (tmp_path / "s" / ".hidden.dcm").write_bytes(files[2].read_bytes())
    (tmp_path / "s" / "DICOMDIR").write_text("not really")
    scan = read_stored(tmp_path / "s")
    np.testing.assert_array_equal(scan.values, hu)
    assert scan.values.dtype == np.int16
    np.testing.assert_allclose(scan.affine, [[-0.7, 0, 0, 100], [0, -0.8, 0, 120], [0, 0, 2.5, -300], [0, 0, 0, 1]])
    assert (scan.slope, scan.intercept, scan.applied) == (1.0, 0.0, (1.0, -1024.0))


@pytest.mark.parametrize("nested", [False, True])
def test_zip(make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path, nested: bool) -> None:
    make_series(tmp_path / "s", hu)
    shutil.make_archive(str(tmp_path / "inner"), "zip", tmp_path, "s")
    path = tmp_path / "inner.zip"
    if nested:
        with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
            archive.writestr("read me.txt", "hello")
            archive.write(path, "study/inner.ZIP")
        path = tmp_path / "outer.zip"
    np.testing.assert_array_equal(read_stored(path).values, hu)


def test_a_single_slice_has_its_thickness(make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path) -> None:
    make_series(tmp_path, hu[:1])
    for path in (tmp_path, next(tmp_path.glob("*.dcm"))):
        scan = read_stored(path)
        assert scan.values.shape == (1, 6, 7)
        assert scan.affine[2, 2] == 2.5
    make_series(tmp_path, hu[:1], SliceThickness=None)
    assert "single slice without SliceThickness" in refusal(tmp_path)


@pytest.mark.parametrize("implicit", [False, True])
def test_a_bare_data_set_without_preamble_or_suffix(
    make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path, implicit: bool
) -> None:
    path = next(make_series(tmp_path / "s", hu[:1]).iterdir())
    ds = pydicom.dcmread(path)
    del ds.file_meta
    ds.save_as(tmp_path / "bare", implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    (tmp_path / "IM0001").write_bytes((tmp_path / "bare").read_bytes()[132:])
    np.testing.assert_array_equal(read_stored(tmp_path / "IM0001").values, hu[:1])


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless])
def test_transfer_syntaxes_of_pydicom(
    make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path, syntax: str
) -> None:
    make_series(tmp_path, hu)
    for path in tmp_path.iterdir():
        ds = pydicom.dcmread(path)
        if syntax == RLELossless:
            ds.compress(RLELossless)
        else:
            ds.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(path, ds, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    scan = read_stored(tmp_path)
    np.testing.assert_array_equal(scan.values, hu)
    assert scan.details["transfer_syntax"] == pydicom.uid.UID(syntax).name


def _compress(path: Path, how: str) -> None:
    image = sitk.ReadImage(str(path))
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for tag in ("0028|1052", "0028|1053"):
        image.EraseMetaData(tag)
    writer.UseCompressionOn()
    writer.SetCompressor(how)
    writer.SetFileName(str(path))
    writer.Execute(image)


@pytest.mark.parametrize("how", ["JPEG", "JPEG2000"])
def test_compressed_slices(make_series: Callable[..., Path], tmp_path: Path, how: str) -> None:
    hu = RNG.integers(-1000, 1000, (2, 40, 44)).astype(np.int16)
    make_series(tmp_path, hu, rescale=(1.0, 0.0))
    for path in tmp_path.iterdir():
        _compress(path, how)
    scan = read_stored(tmp_path)
    np.testing.assert_array_equal(scan.values, hu)
    assert "JPEG" in scan.details["transfer_syntax"]
    for path in tmp_path.iterdir():  # says how to show it, not what it holds; ITK turns it into its negative
        ds = pydicom.dcmread(path)
        ds.PhotometricInterpretation = "MONOCHROME1"
        ds.save_as(path)
    np.testing.assert_array_equal(read_stored(tmp_path).values, hu)


def test_compression_that_nothing_here_decodes_is_named(
    make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path
) -> None:
    make_series(tmp_path, hu)
    for path in tmp_path.iterdir():
        ds = pydicom.dcmread(path)
        ds.PixelData = pydicom.encaps.encapsulate([b"\xff\x0a" + bytes(30)])
        ds["PixelData"].is_undefined_length = True
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.201"
        pydicom.dcmwrite(path, ds)
    assert "High-Throughput JPEG 2000" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("tags", "rescale"),
    [
        ({"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0}, (1.0, -1024.0)),
        ({"PhotometricInterpretation": "MONOCHROME1"}, (1.0, -1024.0)),
        ({"Manufacturer": "X"}, None),
        ({}, (2.0, -1024.0)),
    ],
)
def test_stored_bits_become_hu(
    make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path, tags: dict[str, Any], rescale: Any
) -> None:
    hu = hu // 2 * 2
    scan = read_stored(make_series(tmp_path, hu, rescale=rescale, **tags))
    np.testing.assert_array_equal(scan.values, hu)
    assert scan.values.dtype == np.int16
    assert scan.applied == rescale


def test_each_slice_has_its_own_rescale(make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path) -> None:
    maps = [(1.0 + i / 4, -1000.0 - i) for i in range(len(hu))]
    scan = read_stored(make_series(tmp_path, hu, rescale=maps))
    assert scan.values.dtype == np.float32
    assert np.abs(scan.values - hu).max() <= 1.4
    assert scan.details["rescale_varies"] == {"slope": [1.0, 2.75], "intercept": [-1007.0, -1000.0]}
    assert scan.applied == (1.0, -1000.0)


def test_values_outside_the_field_of_view_stay(
    make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path
) -> None:
    hu = hu.copy()
    hu[:, 0, :] = -3024
    scan = read_stored(make_series(tmp_path, hu, PixelPaddingValue=-2000))
    np.testing.assert_array_equal(scan.values, hu)
    assert scan.details["pixel_padding"] == "-2000"


def test_gantry_tilt_gives_a_sheared_affine(make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path) -> None:
    places = [(-100.0, -120.0 + 0.4 * i, 2.5 * i) for i in range(len(hu))]
    volume = Volume.read(make_series(tmp_path, hu, positions=places), hu="header")
    np.testing.assert_array_equal(volume.hu, hu)
    for i, (x, y, z) in enumerate(places):
        np.testing.assert_allclose(volume.affine @ (0, 0, i, 1), (-x, -y, z, 1), atol=1e-9)
    assert volume.record["gantry_tilt_deg"] == pytest.approx(np.degrees(np.arctan(0.4 / 2.5)), abs=1e-3)
    assert any("gantry tilt" in note for note in volume.record["notes"])


def test_rounded_positions_pass_and_are_noted(make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path) -> None:
    places = [round(0.75 * i, 1) for i in range(len(hu))]
    scan = read_stored(make_series(tmp_path, hu, positions=places))
    assert scan.affine[2, 2] == pytest.approx(0.75, abs=0.02)
    assert 0.01 < scan.details["uneven_mm"] <= 0.06


def test_equal_duplicates_are_dropped_different_ones_refused(
    make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path
) -> None:
    make_series(tmp_path, hu)
    make_series(tmp_path / "copy", hu[2:4], positions=[-295.0, -292.5])
    scan = read_stored(tmp_path)
    np.testing.assert_array_equal(scan.values, hu)
    assert scan.details["duplicates_dropped"] == 2
    assert "2 slices were there twice" in scan.details["notes"][0]
    make_series(tmp_path / "copy", hu[3:4], positions=[-295.0])
    assert "two different slices lie at the same position (-100.0, -120.0, -295.0) mm" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"positions": [0, 2.5, 5, 7.5, 12.5, 15, 17.5, 20]},
            "slices are missing, 1 between (-100.0, -120.0, 7.5) mm and",
        ),
        ({"positions": [0, 2.5, 5, 7.5, 15.0, 17.5, 25.0, 27.5]}, "slices are missing, 2 between"),
        ({"positions": [0, 1, 2.3, 4, 5.1, 7, 8, 9.9]}, "unevenly spaced, steps from 1.000 to 1.900 mm"),
        ({"positions": [(0.0, 9.0 * i, i) for i in range(8)]}, "leans by 84 degrees"),
        ({"ImagePositionPatient": None}, "8 of 8 slices have no ImagePositionPatient"),
        ({"ImageOrientationPatient": None}, "8 of 8 slices have no ImageOrientationPatient"),
        (
            {"ImageOrientationPatient": [[1, 0, 0, 0, 1, 0]] * 7 + [[0, 1, 0, 0, 0, -1]]},
            "orientations are mixed, 1 of 8",
        ),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "no pair of perpendicular directions"),
        ({"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]}, "no pair of perpendicular directions"),
        ({"PixelSpacing": None}, "no valid PixelSpacing"),
        ({"PixelSpacing": [0, 0]}, "no valid PixelSpacing"),
        ({"PixelSpacing": [[0.7, 0.7]] * 4 + [[0.9, 0.9]] * 4}, "pixel spacing is mixed, from 0.7 to 0.9 mm"),
        ({"RescaleSlope": 0}, "RescaleSlope is 0"),
        ({"Modality": "MR"}, "its modality is MR, not CT"),
        ({"Modality": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, "MR IMAGE STORAGE"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        ({"RescaleType": "Z_EFF"}, "its values are Z_EFF, not HU"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "its pixels are RGB"),
        ({"Rows": [6] * 7 + [3]}, "slices differ in size: 6 x 7 (7 files), 3 x 7 (1 files)"),
        ({"Rows": 600}, "is truncated: 84 bytes of pixels, 8400 needed"),
        ({"Rows": 3}, "84 bytes of pixels, its header asks for 42"),
        ({"PixelData": None}, "ends before its pixels"),
        ({"NumberOfFrames": 3}, "no ImagePositionPatient"),
        ({"BitsAllocated": 12}, "12 bits"),
        ({"Rows": None, "Modality": "CT"}, "holds no image"),
    ],
)
def test_odd_series_are_refused_with_the_reason(
    make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    assert says in refusal(make_series(tmp_path / "s", hu, **change))


def test_partly_missing_rescale_is_refused(make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path) -> None:
    make_series(tmp_path, hu, rescale=[(1.0, -1024.0)] * 6 + [None] * 2)
    assert "2 of 8 slices have no RescaleSlope" in refusal(tmp_path)


def test_what_holds_no_dicom(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no DICOM files" in refusal(tmp_path / "empty")
    (tmp_path / "empty" / "a.nii.gz").write_text("x")
    assert "1 files of other formats" in refusal(tmp_path / "empty")
    (tmp_path / "a.zip").write_text("not a zip")
    assert "not a readable zip archive" in refusal(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("a.txt", "x")
    assert "holds no DICOM files" in refusal(tmp_path / "b.zip")
    (tmp_path / "a.dcm").write_text("nothing")
    assert "not a readable DICOM file" in refusal(tmp_path / "a.dcm")


@pytest.mark.parametrize("compressed", [False, True])
def test_truncated_zip(make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path, compressed: bool) -> None:
    make_series(tmp_path / "s", hu)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", 8 if compressed else 0) as archive:
        for path in sorted((tmp_path / "s").iterdir()):
            archive.write(path, path.name)
    raw = bytearray((tmp_path / "a.zip").read_bytes())
    (tmp_path / "cut.zip").write_bytes(raw[:-300])
    assert "not a readable zip archive" in refusal(tmp_path / "cut.zip")
    raw[raw.index(b"-003.dcm") + 500] ^= 0xFF
    (tmp_path / "bad.zip").write_bytes(raw)
    assert "zip" in refusal(tmp_path / "bad.zip")


def _enhanced(path: Path, hu: np.ndarray, order: list[int]) -> None:
    """Write one multi-frame object: geometry and rescale in functional groups, frames in a given order."""
    from ..conftest import write_slice

    ds = write_slice(path, hu[order].reshape(-1, hu.shape[2]), (1.0, -1024.0), RescaleSlope=None, RescaleIntercept=None)
    ds.SOPClassUID, ds.NumberOfFrames, ds.Rows = EnhancedCTImageStorage, len(hu), hu.shape[1]
    for name in ("ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(ds, name)

    def item(**tags: Any) -> list[Dataset]:
        holder = Dataset()
        holder.update({})
        for name, value in tags.items():
            setattr(holder, name, value)
        return [holder]

    ds.SharedFunctionalGroupsSequence = item(
        PixelMeasuresSequence=item(PixelSpacing=[0.8, 0.7], SliceThickness=2.5),
        PlaneOrientationSequence=item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        PixelValueTransformationSequence=item(RescaleSlope=1, RescaleIntercept=-1024),
    )
    frames = [item(PlanePositionSequence=item(ImagePositionPatient=[-100, -120, 2.5 * k]))[0] for k in order]
    ds.PerFrameFunctionalGroupsSequence = frames
    pydicom.dcmwrite(path, ds)


def test_enhanced_multi_frame(hu: np.ndarray, tmp_path: Path) -> None:
    _enhanced(tmp_path / "a.dcm", hu, [3, 1, 0, 2, 7, 6, 5, 4])
    scan = read_stored(tmp_path / "a.dcm")
    np.testing.assert_array_equal(scan.values, hu)
    np.testing.assert_allclose(np.diag(scan.affine), (-0.7, -0.8, 2.5, 1))
    assert scan.applied == (1.0, -1024.0)


def test_simpleitk_agrees_on_real_series(data_dir: Path) -> None:
    folder = data_dir / "validation" / "rider_0117"
    scan = read_stored(folder)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    np.testing.assert_array_equal(scan.values, sitk.GetArrayViewFromImage(image))
    last = image.TransformIndexToPhysicalPoint([n - 1 for n in image.GetSize()])
    ours = scan.affine @ (*(n - 1 for n in scan.values.shape[::-1]), 1)
    np.testing.assert_allclose(ours[:3] * (-1, -1, 1), last, atol=1e-3)


@pytest.mark.parametrize("keep", [0.5, -4])
def test_a_deflated_file_that_is_damaged_is_named(
    make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path, keep: float
) -> None:
    make_series(tmp_path / "s", hu)
    path = sorted((tmp_path / "s").iterdir())[2]
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep) if keep > 0 else int(keep)])
    assert path.name in refusal(tmp_path / "s")


def test_temporal_positions_and_projections_are_told(
    make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path
) -> None:
    """One after the other along z they may be one volume, which is said."""
    make_series(tmp_path / "s", hu)
    for k, path in enumerate(sorted((tmp_path / "s").iterdir())):
        dataset = pydicom.dcmread(path)
        dataset.TemporalPositionIdentifier = 1 + k // 4
        dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL", "CT_SOM5 MIP"]
        dataset.save_as(path)
    details = read_stored(tmp_path / "s").details
    assert any("temporal position (1: 4 slices, 2: 4 slices)" in note for note in details["notes"])
    assert any("ImageType of 8 of 8 files says projection" in one for one in details["warnings"])
