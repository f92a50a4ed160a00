"""NIfTI files that are no CT volume: each refused in one line that names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctgrid import CtgridError, Volume

EYE = np.eye(4)
RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


def refusal(path: Path) -> str:
    with pytest.raises(CtgridError) as caught:
        Volume.read(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((4, 5, 6, 2), np.int16), "three dimensions"),
        (np.zeros((4, 5), np.int16), "three dimensions"),
        (np.zeros((4, 5, 6), RGB), "RGB"),
        (np.zeros((4, 5, 6), np.complex64), "complex"),
        (np.full((4, 5, 6), np.nan, np.float32), "NaN"),
        (np.full((4, 5, 6), -np.inf, np.float64), "infinite"),
        (np.full((4, 5, 6), 1e300, np.float64), "infinite"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_voxels_that_are_no_ct(tmp_path: Path, array: np.ndarray, says: str) -> None:
    path = tmp_path / "a.nii.gz"
    nibabel.save(nibabel.Nifti1Image(array, EYE), path)
    assert says in refusal(path)


@pytest.mark.parametrize(
    ("affine", "says"),
    [
        (np.diag([1, 1, 0, 1.0]), "zero"),
        (np.ones((4, 4)), "singular"),
        (np.diag([1, 1, np.nan, 1]), "finite"),
    ],
)
def test_broken_geometry(tmp_path: Path, affine: np.ndarray, says: str) -> None:
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), EYE)
    for row, name in enumerate(("srow_x", "srow_y", "srow_z")):
        image.header[name] = affine[row]
    image.header["sform_code"] = 1
    image.to_filename(tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[280:328] = affine[:3].astype("<f4").tobytes()  # srow_x, srow_y, srow_z
    (tmp_path / "a.nii").write_bytes(raw)
    assert says in refusal(tmp_path / "a.nii")


@pytest.mark.parametrize("keep", [0, 5, 100, 360, 3000, -200, -9])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_truncated_files(chest: Callable, tmp_path: Path, suffix: str, keep: int) -> None:
    path = tmp_path / f"a{suffix}"
    Volume(chest(), EYE).write(path)
    path.write_bytes(path.read_bytes()[:keep])
    refusal(path)


def test_other_files_under_a_nifti_name(tmp_path: Path) -> None:
    for name in ("a.nii", "a.nii.gz"):
        (tmp_path / name).write_text("not an image at all " * 40)
        assert "NIfTI" in refusal(tmp_path / name)
    (tmp_path / "folder.nii.gz").mkdir()
    assert "DICOM" in refusal(tmp_path / "folder.nii.gz")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(position=st.integers(0, 3000), value=st.integers(0, 255))
def test_damaged_bytes_never_end_in_another_error(chest: Callable, tmp_path: Path, position: int, value: int) -> None:
    path = tmp_path / "a.nii"
    Volume(chest((4, 16, 16)), EYE).write(path, overwrite=True)
    raw = bytearray(path.read_bytes())
    raw[position % len(raw)] = value
    path.write_bytes(raw)
    try:
        Volume.read(path)
    except CtgridError as error:
        assert "\n" not in str(error)


def test_qform_alone_gives_the_affine(chest: Callable, oblique_affine: np.ndarray, tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(chest().transpose(2, 1, 0), None)
    image.set_sform(None, code=0)
    image.set_qform(oblique_affine, code=1)
    nibabel.save(image, tmp_path / "a.nii")
    np.testing.assert_allclose(Volume.read(tmp_path / "a.nii").affine, oblique_affine, atol=1e-3)


def test_sform_wins_over_qform(chest: Callable, oblique_affine: np.ndarray, tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(chest().transpose(2, 1, 0), None)
    image.set_qform(np.diag([2, 2, 2, 1.0]), code=1)
    image.set_sform(oblique_affine, code=2)
    nibabel.save(image, tmp_path / "a.nii")
    np.testing.assert_allclose(Volume.read(tmp_path / "a.nii").affine, oblique_affine, atol=1e-4)
