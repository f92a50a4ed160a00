"""NIfTI files that are no CT volume: each refused in one line that names the file."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctgrid import CtgridError, Volume
from ctgrid.scan.formats.open import read_stored

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


@pytest.mark.parametrize("keep", [0, 5, 100, 360, 3000, -200, -9])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_truncated_files(chest: Callable, tmp_path: Path, suffix: str, keep: int) -> None:
    path = tmp_path / f"a{suffix}"
    Volume(chest(), EYE).write(path)
    path.write_bytes(path.read_bytes()[:keep])
    refusal(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_slices_that_the_header_leaves_out_are_said(tmp_path: Path, suffix: str) -> None:
    """A bit that fell over in the header: 4 of 5 slices would be read without a word."""
    path = tmp_path / f"a{suffix}"
    Volume(np.zeros((5, 4, 4), np.int16), np.eye(4)).write(path)
    opened = gzip.open if suffix == ".nii.gz" else open
    with opened(path, "rb") as stream:
        content = bytearray(stream.read())
    assert "warnings" not in read_stored(path).details
    content[46] = 4
    with opened(path, "wb") as stream:
        stream.write(content)
    scan = read_stored(path)
    assert len(scan.values) == 4
    assert scan.details["warnings"][-1].startswith("holds 1 slices more than its header asks for")


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


@pytest.mark.parametrize("members", [1, 3])
def test_gzip_in_several_members_with_padding(chest: Callable, tmp_path: Path, members: int) -> None:
    Volume(chest(), EYE).write(tmp_path / "a.nii")
    raw = (tmp_path / "a.nii").read_bytes()
    parts = np.array_split(np.frombuffer(raw, np.uint8), members)
    packed = b"".join(gzip.compress(part.tobytes()) for part in parts)
    (tmp_path / "b.nii.gz").write_bytes(packed + bytes(100))
    np.testing.assert_array_equal(Volume.read(tmp_path / "b.nii.gz").hu, chest())
    (tmp_path / "b.nii.gz").write_bytes(packed[:-1])
    assert "truncated" in refusal(tmp_path / "b.nii.gz")
    (tmp_path / "b.nii.gz").write_bytes(packed + b"more")
    assert "damaged" in refusal(tmp_path / "b.nii.gz")


@pytest.mark.parametrize("nifti2", [False, True])
def test_names_that_hide_compression(chest: Callable, oblique_affine: np.ndarray, tmp_path: Path, nifti2: bool) -> None:
    kind = nibabel.Nifti2Image if nifti2 else nibabel.Nifti1Image
    for saved, named in (("a.nii", "plain.nii.gz"), ("a.nii.gz", "packed.nii")):
        nibabel.save(kind(chest().transpose(2, 1, 0), oblique_affine), tmp_path / saved)
        (tmp_path / saved).rename(tmp_path / named)
        volume = Volume.read(tmp_path / named)
        np.testing.assert_array_equal(volume.hu, chest())
        np.testing.assert_allclose(volume.affine, oblique_affine, atol=1e-4)
        (tmp_path / named).write_bytes((tmp_path / named).read_bytes()[:-100])
        assert re.search("truncated|ended before", refusal(tmp_path / named))


def _odd_header(hu: np.ndarray, affine: np.ndarray, nifti2: bool) -> nibabel.Nifti1Image:
    """Return an image whose header has a value in every field that ctgrid has no use for."""
    kind = nibabel.Nifti2Image if nifti2 else nibabel.Nifti1Image
    image = kind(hu.transpose(2, 1, 0)[..., None], affine)
    image.set_sform(affine, code=2)
    image.set_qform(affine, code=4)
    header = image.header
    header.set_xyzt_units("mm", "sec")
    header["descrip"], header["aux_file"], header["intent_name"] = b"from the scanner", b"aux", b"what"
    header["intent_code"], header["intent_p1"], header["toffset"] = 1001, 2.5, 3.5
    header["cal_min"], header["cal_max"], header["slice_code"], header["slice_end"] = -1000, 400, 1, 23
    header.set_slope_inter(1, 0)
    header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"a comment"))
    return image


@pytest.mark.parametrize("nifti2", [False, True])
@pytest.mark.parametrize("endianness", ["<", ">"])
def test_a_template_keeps_its_header(
    chest: Callable, oblique_affine: np.ndarray, tmp_path: Path, nifti2: bool, endianness: str
) -> None:
    image = _odd_header(chest(), oblique_affine, nifti2)
    like = type(image)(image.dataobj, None, image.header.as_byteswapped(endianness))
    like.header.extensions.extend(image.header.extensions)
    nibabel.save(like, tmp_path / "in.nii")
    volume = Volume.read(tmp_path / "in.nii")
    changed = replace(volume, hu=volume.hu + np.int16(5))
    changed.write(tmp_path / "out.nii.gz", dtype=np.float32, template=tmp_path / "in.nii")
    before, after = nibabel.load(tmp_path / "in.nii"), nibabel.load(tmp_path / "out.nii.gz")
    assert type(before) is type(after)
    touched = {name for name in before.header if before.header[name].tobytes() != after.header[name].tobytes()}
    assert touched <= {"datatype", "bitpix", "vox_offset", "scl_slope", "scl_inter"}
    assert next(e.get_content() for e in after.header.extensions) in (b"a comment", "a comment")
    back = Volume.read(tmp_path / "out.nii.gz")
    np.testing.assert_array_equal(back.hu, changed.hu)
    np.testing.assert_array_equal(back.affine, volume.affine)
    assert back.record["written_by_ctgrid"] is True
    assert "written_by_ctgrid" not in volume.record


def test_a_template_of_another_grid_has_no_effect(chest: Callable, oblique_affine: np.ndarray, tmp_path: Path) -> None:
    nibabel.save(_odd_header(chest(), oblique_affine, False), tmp_path / "in.nii")
    Volume.read(tmp_path / "in.nii").reoriented("RAS").write(tmp_path / "out.nii", template=tmp_path / "in.nii")
    header = nibabel.load(tmp_path / "out.nii").header
    assert header["descrip"].item() == b"HU; written by ctgrid"
    assert int(header["qform_code"]) == int(header["sform_code"]) == 1


def test_scaled_values_lose_the_mark(chest: Callable, tmp_path: Path) -> None:
    """Somebody else changed the file and kept its description."""
    image = nibabel.load(Volume(chest(), EYE).write(tmp_path / "a.nii"))
    image.header.set_slope_inter(2.0, 10.0)
    nibabel.save(nibabel.Nifti1Image(np.asanyarray(image.dataobj), EYE, image.header), tmp_path / "b.nii")
    raw = bytearray((tmp_path / "b.nii").read_bytes())
    raw[112:120] = np.array([2.0, 10.0], "<f4").tobytes()
    (tmp_path / "b.nii").write_bytes(raw)
    assert "written_by_ctgrid" not in read_stored(tmp_path / "b.nii").details
