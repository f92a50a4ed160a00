"""A file is there whole, or it is as it was."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest

from ctgrid import CtgridError
from ctgrid.base.files import atomic_output, check_apart, check_output, full_suffix, sha256_of


@pytest.mark.parametrize("name", ["a.nii.gz", "a.b.nii.gz", "a.nii", "a.json", "noext", "A.NII.GZ"])
def test_temporary_name_keeps_folder_and_suffix(tmp_path: Path, name: str) -> None:
    with atomic_output(tmp_path / name) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name != name
        assert full_suffix(temporary) == full_suffix(name)
        temporary.write_text("x")
    assert (tmp_path / name).read_text(encoding="utf-8") == "x"
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("failure", [RuntimeError("boom"), KeyboardInterrupt()])
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, failure: BaseException) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(type(failure)), atomic_output(target, overwrite=True) as temporary:
        temporary.write_text("half")
        raise failure
    assert target.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    with (
        pytest.raises(CtgridError, match=r"cannot write .*a\.txt: No space left"),
        atomic_output(tmp_path / "a.txt") as temporary,
    ):
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_nothing_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match="nothing was written"), atomic_output(tmp_path / "a.txt"):
        pass


def test_existing_file_needs_overwrite(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(CtgridError, match="exists; pass --overwrite"):
        check_output(target)
    with atomic_output(target, overwrite=True) as temporary:
        temporary.write_text("new")
    assert target.read_text(encoding="utf-8") == "new"


def test_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with pytest.raises(CtgridError, match="exists"), atomic_output(target) as temporary:
        temporary.write_text("mine")
        target.write_text("theirs")
    assert target.read_text(encoding="utf-8") == "theirs"
    assert list(tmp_path.iterdir()) == [target]


def test_parent_must_be_a_folder_that_exists(tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match=r"missing does not exist; create it first"):
        check_output(tmp_path / "missing" / "a.txt")
    (tmp_path / "file").write_text("x")
    with pytest.raises(CtgridError, match="is not a folder"):
        check_output(tmp_path / "file" / "a.txt")
    with pytest.raises(CtgridError, match="it is a folder"):
        check_output(tmp_path, overwrite=True)


def test_sha256(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(content)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(content).hexdigest()
    with pytest.raises(CtgridError, match="cannot read"):
        sha256_of(tmp_path / "b")


def test_no_output_changes_an_input(tmp_path: Path) -> None:
    """By whatever name, inside a folder that is read, or by replacing one that holds an input; elsewhere is fine."""
    folder, link = tmp_path / "scans", tmp_path / "link"
    folder.mkdir()
    scan = folder / "a.nii"
    scan.touch()
    link.symlink_to(folder)
    for same in (scan, link / "a.nii", folder / ".." / "scans" / "a.nii"):
        with pytest.raises(CtgridError, match="is the input; the input is never written to"):
            check_apart(same, [tmp_path / "other", scan])
    for inside in (folder / "new" / "deep", link / "b.nii"):
        with pytest.raises(CtgridError, match="lies inside the input folder"):
            check_apart(inside, [folder])
    with pytest.raises(CtgridError, match=r"holds the input .*a\.nii; it is not replaced"):
        check_apart(tmp_path, [scan], replaces=True)
    check_apart(tmp_path, [scan])
    check_apart(folder / "b.nii", [scan, tmp_path / "missing"])
    assert [path.name for path in folder.iterdir()] == ["a.nii"]
