"""A NIfTI file that grows slice by slice: the bytes of the whole, or nothing."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import nibabel
import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.locks import lock
from ctgrid.scan.formats.nifti.stream import NiftiStream, remove_stale
from ctgrid.scan.volume import Volume


def test_leftovers_are_removed_and_files_in_work_are_not(tmp_path: Path) -> None:
    """A lock tells one from the other; names that only look alike stay."""
    pytest.importorskip("fcntl")
    path = tmp_path / "v[0].nii.gz"
    dead, alive, other = (tmp_path / name for name in (".v[0]-0123456789ab.nii.gz", ".v[0]-ba9876543210.nii.gz", ".v"))
    for each in (dead, alive, other):
        each.write_bytes(b"x")
    with alive.open("rb") as stream:
        assert lock(stream)
        remove_stale(path)
    assert sorted(tmp_path.iterdir()) == sorted([alive, other])


@pytest.fixture(scope="module")
def hu() -> np.ndarray:
    return np.random.default_rng(0).integers(-1024, 3000, (7, 5, 6)).astype(np.int16)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_the_bytes_are_those_of_the_whole_volume(
    suffix: str, hu: np.ndarray, oblique_affine: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / f"a{suffix}"
    stream = NiftiStream(path, hu.shape, oblique_affine)
    for part in (hu[:1], hu[1:1], hu[1:6], hu[6:, ::1]):
        stream.append(part)
        assert not path.exists()
    digest = stream.close()
    stream.publish()
    whole = Volume(hu, oblique_affine).write(tmp_path / f"b{suffix}")
    assert path.read_bytes() == whole.read_bytes() and digest == sha256(path.read_bytes()).hexdigest()
    assert stream.bytes == path.stat().st_size and sorted(p.name for p in tmp_path.iterdir()) == [path.name, whole.name]
    np.testing.assert_array_equal(np.asarray(nibabel.load(path).dataobj).transpose(2, 1, 0), hu)


def test_slices_that_do_not_continue_are_refused(hu: np.ndarray, tmp_path: Path) -> None:
    stream = NiftiStream(tmp_path / "a.nii", hu.shape, np.eye(4))
    stream.append(hu[:5])
    for wrong in (hu[:3], hu[:1].astype(np.float32), hu[:1, :4]):
        with pytest.raises(CtgridError, match=r"does not continue 5 of \(7, 5, 6\)"):
            stream.append(wrong)
    with pytest.raises(CtgridError, match="5 of 7 slices were written"):
        stream.close()
    stream.abandon()
    stream.abandon()
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_replaced_only_on_demand(hu: np.ndarray, tmp_path: Path) -> None:
    """Even where it came while the volume was made."""
    path = tmp_path / "a.nii"
    stream = NiftiStream(path, hu.shape, np.eye(4))
    stream.append(hu)
    stream.close()
    path.write_bytes(b"came later")
    with pytest.raises(CtgridError, match="exists"):
        stream.publish()
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"came later"]
    with pytest.raises(CtgridError, match="exists"):
        NiftiStream(path, hu.shape, np.eye(4))
    stream = NiftiStream(path, hu.shape, np.eye(4), overwrite=True)
    stream.append(hu)
    stream.close()
    assert path.read_bytes() == b"came later"
    stream.publish()
    assert len(path.read_bytes()) == stream.bytes


def test_a_folder_that_is_not_there_is_said(hu: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match="none"):
        NiftiStream(tmp_path / "none" / "a.nii", hu.shape, np.eye(4))
