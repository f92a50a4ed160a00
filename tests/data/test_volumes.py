"""Folders of volumes: what is found, what is left out, and slices as training draws them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.data.simulate.collection import write_stored, write_table
from ctgrid.data.volumes import find_volumes, load_folder, load_slices
from ctgrid.scan.cases import find_cases
from ctgrid.scan.hu.metadata import MetadataTable
from ctgrid.scan.volume import Volume


def touch(folder: Path, *names: str) -> None:
    """Make empty files."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_files_and_series_are_found_wherever_they_lie(tmp_path: Path) -> None:
    """A DICOM series counts once, other files not at all, nor what macOS leaves beside a file."""
    touch(tmp_path, "b.nii.gz", "a/x.NII", "a/y.mha", "z.nrrd", "notes.txt", "s/1/0.dcm", "s/1/1.dcm", "s/2/0.dcm")
    touch(tmp_path, "._b.nii.gz", "t/0.IMA", "zip.zip")
    (tmp_path / "u").mkdir()
    (tmp_path / "u" / "I0").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    found = [case.path.relative_to(tmp_path).as_posix() for case in find_volumes(tmp_path)]
    assert found == ["a/x.NII", "a/y.mha", "b.nii.gz", "s/1", "s/2", "t", "u", "z.nrrd", "zip.zip"]
    assert found == [case.path.relative_to(tmp_path).as_posix() for case in find_cases([tmp_path])]


def test_like_named_series_of_two_patients_are_two_volumes(tmp_path: Path) -> None:
    """By their folders' names alone they would be one, and one of them trained on and validated on."""
    touch(tmp_path, "p1/CT/0.dcm", "p2/CT/0.dcm")
    assert [case.name for case in find_volumes(tmp_path)] == ["p1__CT", "p2__CT"]


def test_excluded_names_are_left_out(tmp_path: Path) -> None:
    """Names are without suffix."""
    touch(tmp_path, "one.nii.gz", "two.nii.gz", "three/0.dcm")
    assert [case.name for case in find_volumes(tmp_path, ("one", "three"))] == ["two"]


@pytest.mark.parametrize("name", ["missing", "file.txt", "empty"])
def test_no_volumes_are_one_clear_line(name: str, tmp_path: Path) -> None:
    """The message names the folder."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").touch()
    with pytest.raises(CtgridError, match=name):
        find_volumes(tmp_path / name)


def test_slices_are_upright_square_and_clipped(chest: Callable[..., np.ndarray], tmp_path: Path) -> None:
    """A scan stored head first and mirrored gives the slices of its upright copy."""
    hu = chest((6, 40, 48))
    hu[0, 0, 0], hu[0, 0, 1] = 3000, -2000
    affine = np.diag([-1.0, -1.0, 3.0, 1.0])
    upright = Volume(hu, affine)
    straight = load_slices(upright.write(tmp_path / "straight.nii.gz"), 48)
    turned = load_slices(upright.reoriented("RAI").write(tmp_path / "turned.nii"), 48)
    assert torch.equal(straight.hu, turned.hu)
    assert (straight.name, turned.name) == ("straight", "turned")
    assert straight.hu.dtype == torch.int16 and straight.hu.shape == (6, 48, 48)
    assert straight.spacing_mm == pytest.approx((3.0, 1.0, 1.0))
    expected = np.clip(hu, -1000, 1000)
    assert np.array_equal(straight.hu[:, 4:44].numpy(), expected)
    assert (straight.hu[:, :4] == -1000).all()
    assert straight.unit(slice(1, 3))[0, 20, 20] == straight.hu[1, 20, 20] / 1000.0


def test_a_folder_is_read_in_order_with_progress(chest: Callable[..., np.ndarray], tmp_path: Path) -> None:
    """The callback runs from none done to all done."""
    for name in ("b", "a"):
        Volume(chest((4, 32, 32)), np.diag([-1.0, -1.0, 3.0, 1.0])).write(tmp_path / f"{name}.nii.gz")
    calls: list[tuple[str, int, int]] = []
    volumes = load_folder(tmp_path, 32, progress=lambda *call: calls.append(call))
    assert [volume.name for volume in volumes] == ["a", "b"]
    assert calls == [("reading volumes", done, 2) for done in (0, 1, 2)]


def test_a_scan_that_is_no_ct_is_refused_by_name(tmp_path: Path) -> None:
    """It would be noise to the model."""
    path = Volume(np.full((4, 32, 32), 300, dtype=np.int16), np.eye(4)).write(tmp_path / "mr.nii.gz")
    with pytest.raises(CtgridError, match=r"mr\.nii\.gz has no air"):
        load_slices(path, 32)


def test_stored_values_become_hu_by_the_collections_table(chest: Callable[..., np.ndarray], tmp_path: Path) -> None:
    """As CT-RATE's raw files, whose headers say nothing."""
    hu, affine = chest((6, 40, 40)), np.diag([-1.0, -1.0, 3.0, 1.0])
    Volume(hu, affine).write(tmp_path / "right.nii.gz")
    write_stored(tmp_path / "train_1_a_1.nii.gz", Volume(hu, affine))
    write_table(tmp_path / "m.csv", ["train_1_a_1.nii.gz"], (3.0, 1.0, 1.0))
    table = MetadataTable.read(tmp_path / "m.csv")
    found = load_slices(tmp_path / "train_1_a_1.nii.gz", 40, metadata=table)
    assert torch.equal(found.hu, load_slices(tmp_path / "right.nii.gz", 40).hu)
    with pytest.raises(CtgridError):
        load_slices(tmp_path / "train_1_a_1.nii.gz", 40)
