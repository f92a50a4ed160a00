"""DICOM series, NRRD and MetaImage against SimpleITK's own view of the geometry."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from ctgrid import CtgridError, Volume
from ctgrid.scan.ct import require_ct


def as_itk(hu: np.ndarray, affine: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(hu)
    columns = np.diag([-1, -1, 1]) @ affine[:3, :3]
    spacing = np.linalg.norm(columns, axis=0)
    image.SetSpacing(spacing)
    image.SetDirection((columns / spacing).ravel())
    image.SetOrigin(np.diag([-1, -1, 1]) @ affine[:3, 3])
    return image


def write_series(folder: Path, hu: np.ndarray, uid: str, spacing_z: float = 2.5) -> None:
    """Write CT slices, file names against the order of positions, stored as HU + 1024."""
    folder.mkdir(exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for i, plane in enumerate(hu):
        image = sitk.GetImageFromArray(plane[None])
        image.SetSpacing((0.7, 0.7, spacing_z))
        for tag, value in {
            "0008|0060": "CT",
            "0008|0018": f"{uid}.{i + 1}",
            "0020|000d": "1.2.3",
            "0020|000e": uid,
            "0020|0032": f"-100\\-120\\{spacing_z * i - 300}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|0013": str(len(hu) - i),
            "0028|1052": "-1024",
            "0028|1053": "1",
        }.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{uid}-{len(hu) - i:03}.dcm"))
        writer.Execute(image)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mhd", ".NRRD"])
def test_itk_files_keep_values_and_points(
    chest: Callable, oblique_affine: np.ndarray, tmp_path: Path, suffix: str
) -> None:
    hu = chest()
    sitk.WriteImage(as_itk(hu, oblique_affine), str(tmp_path / f"a{suffix.lower()}"))
    (tmp_path / f"a{suffix.lower()}").rename(tmp_path / f"a{suffix}")
    volume = Volume.read(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(volume.hu, hu)
    np.testing.assert_allclose(volume.affine, oblique_affine, atol=1e-9)
    assert volume.orientation == "LPS"


def test_nifti_and_itk_readers_agree(chest: Callable, oblique_affine: np.ndarray, tmp_path: Path) -> None:
    Volume(chest(), oblique_affine).write(tmp_path / "a.nii.gz")
    sitk.WriteImage(sitk.ReadImage(str(tmp_path / "a.nii.gz")), str(tmp_path / "a.nrrd"))
    one, two = Volume.read(tmp_path / "a.nii.gz"), Volume.read(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(one.hu, two.hu)
    np.testing.assert_allclose(one.affine, two.affine, atol=1e-3)


def test_series_is_ordered_by_position_and_in_hu(
    chest: Callable, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hu = chest((12, 48, 64))
    write_series(tmp_path / "scan", hu, "1.2.3.4")
    write_series(tmp_path / "scan", hu[:5], "1.2.3.5", spacing_z=9.0)
    (tmp_path / "scan" / "notes.txt").write_text("not DICOM")
    capfd.readouterr()
    volume = Volume.read(tmp_path / "scan")
    assert capfd.readouterr() == ("", "")
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.hu.dtype == volume.native_dtype == np.int16
    np.testing.assert_allclose(volume.spacing_mm, (2.5, 0.7, 0.7))
    np.testing.assert_allclose(volume.affine[:3, 3], (100, 120, -300))
    assert volume.orientation == "LPS"
    assert volume.record["format"] == "dicom"
    assert (volume.record["files"], volume.record["series_in_folder"]) == (12, 2)


def test_damaged_inputs_are_refused_in_one_line(
    chest: Callable, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.dcm").write_text("no")
    write_series(tmp_path / "cut", chest((6, 48, 64)), "1.2.3.4")
    for file in (tmp_path / "cut").iterdir():
        file.write_bytes(file.read_bytes()[:-3000])
    sitk.WriteImage(sitk.GetImageFromArray(chest()), str(tmp_path / "cut.nrrd"))
    (tmp_path / "cut.nrrd").write_bytes((tmp_path / "cut.nrrd").read_bytes()[:5000])
    (tmp_path / "text.mha").write_text("ObjectType = Image\n")
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True), str(tmp_path / "rgb.mha"))
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 3, 4, 5), np.int16)), str(tmp_path / "four.mha"))
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5), np.int16)), str(tmp_path / "flat.mha"))
    capfd.readouterr()
    for name in ("empty", "text", "cut", "cut.nrrd", "text.mha", "rgb.mha", "four.mha", "flat.mha"):
        with pytest.raises(CtgridError) as caught:
            Volume.read(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400
    assert capfd.readouterr() == ("", "")


def test_real_series(data_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = data_dir / "train" / "lungfcp_0001"
    volume = Volume.read(folder)
    assert capfd.readouterr() == ("", "")
    assert volume.shape == (49, 512, 512)
    np.testing.assert_allclose(volume.spacing_mm, (2.0, 0.76, 0.76), atol=0.01)
    assert volume.orientation == "LPS"
    require_ct(volume)
    (tmp_path / "few").mkdir()
    for name in sorted(p.name for p in folder.glob("*.dcm"))[:3]:
        shutil.copy(folder / name, tmp_path / "few" / name)
    few = Volume.read(tmp_path / "few")
    there = (few.affine @ (0, 0, 0, 1))[2]
    index = round((there - volume.affine[2, 3]) / volume.affine[2, 2])
    np.testing.assert_array_equal(few.hu[0], volume.hu[index])


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_a_full_disk_is_told_by_its_own_name(name: str, tmp_path: Path) -> None:
    """ITK tells the system's reason of one format, and of the other only that bytes were not written."""
    hu = np.random.default_rng(0).integers(-1000, 1000, (8, 64, 64)).astype(np.int16)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (900, limits[1]))
    try:
        with pytest.raises(CtgridError, match=rf"cannot write .*/{name}: File too large$"):
            Volume(hu, np.eye(4)).write(tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
