"""What killed processes left goes; what living ones use stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ctgrid.base.remains import hidden_name, remove_remains, scratch


def test_scratch_folders_of_killed_processes_go_and_those_of_living_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "ctgrid-results").mkdir()
    code = (
        "import os, tempfile; from ctgrid.base.remains import hidden_name, remove_remains, scratch\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "with scratch() as f: (f / 'x').touch(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    (left,) = set(tmp_path.glob("ctgrid-*")) - {tmp_path / "ctgrid-results"}
    with scratch() as one, scratch() as two:
        assert one != two and one.is_dir() and two.is_dir() and not left.exists()
        assert one.stat().st_mode & 0o777 == 0o700
    assert [p.name for p in tmp_path.iterdir()] == ["ctgrid-results"]


def test_hidden_names_end_as_the_file_and_tell_whose_they_are(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 200 + ".nii.gz")
    one, two = (hidden_name(path, ".nii.gz") for _ in range(2))
    assert one != two and one.parent == tmp_path
    for name in (one.name, two.name):
        assert name.startswith(".xxx") and name.endswith(".nii.gz") and len(name) < 120
        assert f"{os.getpid():08x}" in name


def test_only_the_dead_ones_remains_are_removed(tmp_path: Path) -> None:
    """A living process's, another machine's, and names that only look alike stay."""
    path = tmp_path / "v[0].nii.gz"
    mine = hidden_name(path, ".nii.gz")
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    token = mine.name[len(".v[0]-") : -len(".nii.gz")]
    dead = mine.with_name(mine.name.replace(token, f"{token[:8]}{ended.pid:08x}{token[16:]}"))
    foreign = dead.with_name(dead.name.replace(token[:8], "0" * 8 if token[:8] != "0" * 8 else "1" * 8))
    others = [tmp_path / f".v[0]-{'z' * 24}.nii.gz", tmp_path / ".v0.nii.gz", dead.with_suffix(".bz")]
    for each in (mine, dead, foreign, *others):
        each.write_bytes(b"x")
    remove_remains(path, ".nii.gz")
    assert not dead.exists() and all(each.exists() for each in (mine, foreign, *others))
    remove_remains(tmp_path / "no" / "a.nii", ".nii")  # no folder is no failure
