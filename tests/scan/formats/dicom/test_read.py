"""DICOM series: read to HU and millimetres, or refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, EnhancedCTImageStorage

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


def test_simpleitk_agrees_on_real_series(data_dir: Path, rider: Volume) -> None:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(data_dir / "validation" / "rider_0117")))
    image = reader.Execute()
    np.testing.assert_array_equal(rider.hu, sitk.GetArrayViewFromImage(image))
    last = image.TransformIndexToPhysicalPoint([n - 1 for n in image.GetSize()])
    ours = rider.affine @ (*(n - 1 for n in rider.shape[::-1]), 1)
    np.testing.assert_allclose(ours[:3] * (-1, -1, 1), last, atol=1e-3)


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("which", [2, -1])
def test_a_slice_that_is_cut_short_is_named(
    make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path, which: int, deflated: bool
) -> None:
    """Wherever it ends, and wherever it lies: without the last slice a shorter volume would look whole."""
    make_series(tmp_path / "s", hu)
    path = sorted((tmp_path / "s").iterdir())[which]
    if deflated:
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        dataset.save_as(path)
    whole = path.read_bytes()
    for size in range(0, len(whole), 37):
        path.write_bytes(whole[:size])
        assert path.name in refusal(tmp_path / "s"), size


def test_damaged_files_elsewhere_are_told(make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path) -> None:
    make_series(tmp_path / "s" / "ct", hu)
    (tmp_path / "s" / "ct" / "notes.txt").write_text("another kind of file is passed over")
    (tmp_path / "s" / "other").mkdir()
    (tmp_path / "s" / "other" / "1.dcm").touch()
    scan = read_stored(tmp_path / "s")
    assert scan.values.shape == hu.shape
    assert any("1 DICOM files in other folders" in warning for warning in scan.details["warnings"])


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
