"""Every scan is found once and gets a name of its own, the same one at every run."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctgrid import CtgridError
from ctgrid.data.store.names import is_volume_name
from ctgrid.scan.cases import Case, find_cases, named

DICOM = bytes(128) + b"DICM" + bytes(50)


def touch(root: Path, *names: str, content: bytes = b"x") -> None:
    """Make files with their folders."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def names_of(*paths: str) -> dict[str, str]:
    """Return path to name."""
    return {str(case.path): case.name for case in named([Case(Path(path)) for path in paths])}


def test_scans_are_found_at_any_depth(tmp_path: Path) -> None:
    touch(
        tmp_path, "a.nii.gz", "b/c/d.nii", "b/e.NRRD", "b/f.zip", "a_metadata.json", "b/notes.txt", ".h/i.nii", ".j.nii"
    )
    touch(tmp_path, "series/1.2.840.1", "other/IM1.dcm", "other/deeper/IM2", content=DICOM)
    touch(tmp_path, "store.zarr/x.nii", "pyramid/zarr.json", "pyramid/y.nii", "DICOMDIR")
    found = [case.path.relative_to(tmp_path).as_posix() for case in find_cases([tmp_path, tmp_path / "a.nii.gz"])]
    assert found == ["a.nii.gz", "b/c/d.nii", "b/e.NRRD", "b/f.zip", "other", "series"]


def test_what_is_named_is_a_case_whatever_it_is(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii", "notes.txt")
    (tmp_path / "empty").mkdir()
    inputs = [tmp_path / name for name in ("a.nii", "notes.txt", "missing.nii", "empty")]
    assert {case.path for case in find_cases(inputs)} == set(inputs)


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    touch(tmp_path, "data/a.nii", "elsewhere/b.nii")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "loop").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "above").symlink_to(tmp_path)
    assert [case.path.name for case in find_cases([tmp_path / "data"])] == ["a.nii", "b.nii"]


def test_nothing_to_find_is_said(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(CtgridError, match="holds no scan"):
        find_cases([tmp_path])
    with pytest.raises(CtgridError, match="does not exist"):
        find_cases([tmp_path / "x", tmp_path / "y"])


def test_a_folder_that_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(top: Path, onerror: object, **options: object) -> list[object]:
        onerror(PermissionError(13, "Permission denied", str(top)))  # type: ignore[operator]
        return []

    monkeypatch.setattr(os, "walk", walk)
    with pytest.raises(CtgridError, match=r"cannot search .*Permission denied"):
        find_cases([tmp_path])


def test_names_are_those_of_the_files() -> None:
    assert names_of("/d/train_1_a_1.nii.gz", "/d/x.y.nrrd", "/d/PAT01", "/d/z.zip") == {
        "/d/train_1_a_1.nii.gz": "train_1_a_1",
        "/d/x.y.nrrd": "x.y",
        "/d/PAT01": "PAT01",
        "/d/z.zip": "z",
    }


def test_names_that_collide_take_their_folders() -> None:
    assert names_of("/d/p1/s/CT", "/d/p2/s/CT", "/d/other.nii") == {
        "/d/p1/s/CT": "p1__s__CT",
        "/d/p2/s/CT": "p2__s__CT",
        "/d/other.nii": "other",
    }
    assert names_of("/d/a.nii", "/d/a.nii.gz", "/d/A.mha") == {
        "/d/A.mha": "A",
        "/d/a.nii": "a-2",
        "/d/a.nii.gz": "a-3",
    }
    assert names_of("/a/b.nii", "/c/b.nii", "/d/a__b.nii") == {
        "/a/b.nii": "b",
        "/c/b.nii": "b-2",
        "/d/a__b.nii": "a__b",
    }


def test_a_name_once_given_stays() -> None:
    cases = [Case(Path("/d/p1/CT")), Case(Path("/d/p2/CT"))]
    found = named(cases, {"/d/p2/CT": "CT"})
    assert [case.name for case in found] == ["p1__CT", "CT"]


@given(st.lists(st.text(st.sampled_from("aAb./_-é\n "), min_size=1, max_size=6), min_size=1, max_size=8), st.integers())
def test_any_set_of_paths_gets_usable_names_of_its_own(parts: list[str], seed: int) -> None:
    paths = sorted({Path("/d") / (part.strip("/") or "x") / "scan.nii" for part in parts})
    cases = [Case(path) for path in paths]
    shuffled = random.Random(seed).sample(cases, len(cases))
    found = named(shuffled)
    assert found == named(cases)
    assert len({case.name.casefold() for case in found}) == len(paths)
    assert all(is_volume_name(case.name) for case in found)


def test_long_names_are_cut_and_stay_apart() -> None:
    found = names_of("/d/" + "é" * 120 + "1.nii", "/d/" + "é" * 120 + "2.nii").values()
    assert len(set(found)) == 2 and all(len(name.encode()) < 200 for name in found)
