"""Volumes: always consistent, written as HU in NIfTI, read from anything or refused in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

import ctgrid
from ctgrid import CtgridError, Volume
from ctgrid.scan.volume import cast_hu, fitting_dtype


def test_import_is_light() -> None:
    heavy = ["torch", "nibabel", "SimpleITK", "PIL", "diffusers", "monai", "matplotlib", "skimage", "scipy"]
    code = f"import sys, ctgrid; ctgrid.Volume; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_public_names() -> None:
    assert ctgrid.__version__[0].isdigit()
    assert {"Volume", "CtgridError", "denoise"} <= set(dir(ctgrid))
    with pytest.raises(AttributeError, match="No ctgrid attribute nonsense"):
        _ = ctgrid.nonsense


def test_written_nifti_holds_hu_and_one_geometry(chest_volume: Volume, tmp_path: Path) -> None:
    path = chest_volume.write(tmp_path / "a.nii.gz")
    image = nibabel.load(path)
    assert image.get_data_dtype() == np.int16
    assert (image.dataobj.slope, image.dataobj.inter) == (1.0, 0.0)
    assert int(image.header["sform_code"]) == int(image.header["qform_code"]) == 1
    assert image.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_array_equal(np.asanyarray(image.dataobj).transpose(2, 1, 0), chest_volume.hu)
    np.testing.assert_allclose(image.get_sform(), chest_volume.affine, atol=1e-4)
    np.testing.assert_allclose(image.get_qform(), chest_volume.affine, atol=1e-3)
    np.testing.assert_allclose(image.header.get_zooms(), chest_volume.spacing_mm[::-1], rtol=1e-6)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".NII.GZ"])
def test_write_and_read_give_the_same_volume(chest_volume: Volume, tmp_path: Path, suffix: str) -> None:
    back = Volume.read(chest_volume.write(tmp_path / f"a{suffix}"))
    np.testing.assert_array_equal(back.hu, chest_volume.hu)
    assert back.hu.dtype == np.int16
    np.testing.assert_allclose(back.affine, chest_volume.affine, atol=1e-4)
    assert back.orientation == chest_volume.orientation == "LPS"
    np.testing.assert_allclose(back.spacing_mm, (2.5, 0.8, 0.7), atol=1e-5)
    assert {"source": "stored", "slope": 1.0, "intercept": 0.0, "mode": "auto"}.items() <= back.record["hu"].items()
    json.dumps(back.record)


def test_equal_volumes_give_equal_bytes(chest_volume: Volume, tmp_path: Path) -> None:
    one = chest_volume.write(tmp_path / "one.nii.gz")
    two = chest_volume.write(tmp_path / "two.nii.gz")
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("stored", ["int16", "int32", "float32", "float64", ">i2", ">f4"])
def test_a_scan_can_go_back_in_its_own_dtype(stored: str, chest: Callable, tmp_path: Path) -> None:
    hu = chest()
    _save(tmp_path / "a.nii.gz", hu, dtype=stored)
    volume = Volume.read(tmp_path / "a.nii.gz")
    assert volume.hu.dtype == (np.int16 if "i" in stored else np.float32)
    volume.write(tmp_path / "b.nii.gz", dtype=volume.native_dtype)
    image = nibabel.load(tmp_path / "b.nii.gz")
    assert image.get_data_dtype() == np.dtype(stored).newbyteorder("=")
    np.testing.assert_array_equal(np.asanyarray(image.dataobj).transpose(2, 1, 0), hu)


def test_header_scaling_is_applied_once(chest: Callable, tmp_path: Path) -> None:
    hu = chest()
    image = nibabel.Nifti1Image((hu.transpose(2, 1, 0) + 1024).astype(np.uint16), np.eye(4))
    image.header.set_slope_inter(1, -1024)
    nibabel.save(image, tmp_path / "a.nii")
    assert nibabel.load(tmp_path / "a.nii").dataobj.inter == -1024
    volume = Volume.read(tmp_path / "a.nii")
    assert volume.hu.dtype == np.int16
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.record["hu"]["source"] == "header"
    assert volume.native_dtype == np.int16
    np.testing.assert_array_equal(Volume.read(tmp_path / "a.nii", hu="stored").hu, hu + 1024)


def test_repr_is_one_short_line(chest_volume: Volume) -> None:
    assert repr(chest_volume) == "Volume((24, 48, 64) int16, 2.5 x 0.8 x 0.7 mm, LPS)"


def test_index_and_place_are_inverses(chest_volume: Volume) -> None:
    index = np.random.default_rng(0).uniform(-50, 50, (4, 5, 3))
    places = chest_volume.index_to_mm(index)
    assert places.shape == index.shape
    np.testing.assert_allclose(chest_volume.mm_to_index(places), index, atol=1e-9)
    affine = chest_volume.affine
    np.testing.assert_allclose(chest_volume.index_to_mm((3, 7, 5)), (affine @ (5, 7, 3, 1))[:3], atol=1e-9)
    np.testing.assert_allclose(chest_volume.mm_to_index((130.5, 99.25, -410)), (0, 0, 0), atol=1e-9)
    for wrong in (3, (1, 2), np.zeros((3, 4))):
        with pytest.raises(CtgridError, match="has three numbers, got shape"):
            chest_volume.index_to_mm(wrong)


@pytest.mark.parametrize("codes", ["LPS", "RAS", "SAL"])
def test_from_array_lies_along_the_body(chest: Callable, codes: str) -> None:
    volume = Volume.from_array(chest(), spacing_mm=(2.5, 0.8, 0.7), origin_mm=(10, 20, -30), orientation=codes)
    assert (volume.spacing_mm, volume.orientation) == ((2.5, 0.8, 0.7), codes)
    np.testing.assert_allclose(volume.index_to_mm((0, 0, 0)), (10, 20, -30))
    centred = Volume.from_array(chest(), (2.5, 0.8, 0.7), orientation=codes)
    np.testing.assert_allclose(centred.index_to_mm((np.array(centred.shape) - 1) / 2), 0, atol=1e-9)


@pytest.mark.parametrize(
    ("dtype", "held"), [("int16", "int16"), ("int64", "int16"), ("uint8", "int16"), ("float64", "float32")]
)
def test_from_array_takes_any_real_numbers(dtype: str, held: str) -> None:
    assert Volume.from_array(np.ones((2, 3, 4), dtype), (1, 1, 1)).hu.dtype == held


@pytest.mark.parametrize(
    ("hu", "spacing", "codes", "words"),
    [
        (np.zeros((2, 2)), (1, 1, 1), "LPS", "three non-empty dimensions"),
        (np.zeros((0, 2, 2)), (1, 1, 1), "LPS", "three non-empty dimensions"),
        (np.zeros((2, 2, 2), complex), (1, 1, 1), "LPS", "real numbers"),
        (np.zeros((2, 2, 2)), (1, -1, 1), "LPS", "three lengths in mm above 0"),
        (np.zeros((2, 2, 2)), (1, 1), "LPS", "three lengths in mm above 0"),
        (np.zeros((2, 2, 2)), (1, 1, 1), "LPX", "orientation 'LPX'"),
    ],
)
def test_from_array_refuses(hu: np.ndarray, spacing: tuple, codes: str, words: str) -> None:
    with pytest.raises(CtgridError, match=words):
        Volume.from_array(hu, spacing, orientation=codes)


def test_numpy_sees_the_voxels(chest_volume: Volume) -> None:
    assert np.asarray(chest_volume) is chest_volume.hu
    copy = np.array(chest_volume)
    assert not np.shares_memory(copy, chest_volume.hu)
    assert np.asarray(chest_volume, dtype=np.float64).dtype == np.float64
    assert np.mean(chest_volume) == np.mean(chest_volume.hu)
    with pytest.raises(ValueError, match="must be copied"):
        np.array(chest_volume, dtype=np.float64, copy=False)


@pytest.mark.parametrize("codes", ["LPS", "RAS", "SAL", "PIR"])
def test_reoriented_keeps_points(chest_volume: Volume, codes: str) -> None:
    hu = chest_volume.hu.copy()
    hu[5, 30, 7] = 3000
    chest_volume = replace(chest_volume, hu=hu)
    turned = chest_volume.reoriented(codes)
    assert turned.orientation == codes
    assert turned.hu.flags.c_contiguous
    there = np.argwhere(turned.hu == 3000)[0]
    np.testing.assert_allclose(turned.affine @ (*there[::-1], 1), chest_volume.affine @ (7, 30, 5, 1), atol=1e-9)


def test_a_trailing_axis_of_one_is_no_fourth_dimension(chest: Callable, tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(chest().transpose(2, 1, 0)[..., None], np.eye(4)), tmp_path / "a.nii")
    np.testing.assert_array_equal(Volume.read(tmp_path / "a.nii").hu, chest())


def test_cast_rounds_and_clips() -> None:
    hu = np.array([-40000, -1000.6, -0.4, 0.6, 40000], dtype=np.float32)
    assert cast_hu(hu, np.int16).tolist() == [-32768, -1001, 0, 1, 32767]
    assert cast_hu(np.array([-1, 3000], np.int16), np.uint8).tolist() == [0, 255]
    assert cast_hu(hu, np.float64).dtype == np.float64


@pytest.mark.parametrize(
    ("hu", "affine", "message"),
    [
        (np.zeros((2, 2), np.int16), np.eye(4), "three non-empty dimensions"),
        (np.zeros((2, 2, 0), np.int16), np.eye(4), "three non-empty dimensions"),
        (np.zeros((2, 2, 2), np.uint8), np.eye(4), "int16 or float32, got uint8"),
        (np.full((2, 2, 2), np.nan, np.float32), np.eye(4), "NaN"),
        (np.full((2, 2, 2), np.inf, np.float32), np.eye(4), "infinite"),
        (np.zeros((2, 2, 2), np.int16), np.zeros((4, 4)), "last row"),
    ],
)
def test_no_half_valid_volume(hu: np.ndarray, affine: np.ndarray, message: str) -> None:
    with pytest.raises(CtgridError, match=message):
        Volume(hu, affine)


def test_the_affine_is_the_volumes_own(chest: Callable) -> None:
    affine = np.eye(4)
    volume = Volume(chest(), affine)
    affine[0, 0] = 5
    assert volume.affine[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        volume.affine[0, 0] = 5


def test_bad_names_and_places(chest_volume: Volume, tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match=r"missing\.nii\.gz does not exist"):
        Volume.read(tmp_path / "missing.nii.gz")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(CtgridError, match=r"cannot read files of type '\.txt'"):
        Volume.read(tmp_path / "a.txt")
    for name in ("a.txt", "a.mhd", "a.zip", "a.png", "a.nii.gz.txt"):
        with pytest.raises(CtgridError, match=r"volumes are written as \.nii"):
            chest_volume.write(tmp_path / name)
    with pytest.raises(CtgridError, match="create it first"):
        chest_volume.write(tmp_path / "no" / "a.nii.gz")
    chest_volume.write(tmp_path / "a.nii.gz")
    with pytest.raises(CtgridError, match="--overwrite"):
        chest_volume.write(tmp_path / "a.nii.gz")
    chest_volume.write(tmp_path / "a.nii.gz", overwrite=True)
    with pytest.raises(CtgridError, match="hu='magic' is unknown"):
        Volume.read(tmp_path / "a.nii.gz", hu="magic")


def test_a_dtype_that_holds_the_values(chest_volume: Volume) -> None:
    assert fitting_dtype(chest_volume) == np.int16
    wide = replace(chest_volume, hu=chest_volume.hu.astype(np.float32) + 40000, record={"stored_dtype": "int16"})
    assert wide.native_dtype == np.int16
    assert fitting_dtype(wide) == np.int32
    assert fitting_dtype(wide, "float32") == np.float32
    with pytest.raises(CtgridError, match=r"cannot write b\.nii: int16 does not hold values from 3\d+ to 4\d+"):
        fitting_dtype(wide, "int16", "b.nii")


def _save(path: Path, hu: np.ndarray, dtype: str = "int16") -> None:
    nibabel.save(nibabel.Nifti1Image(hu.transpose(2, 1, 0).astype(dtype), np.eye(4)), path)
