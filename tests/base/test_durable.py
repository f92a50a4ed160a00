"""What is finished is on the disk."""

from __future__ import annotations

import os
import posix
import sys
from pathlib import Path

import pytest

from ctgrid.base.files import atomic_folder, atomic_output


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are told apart as Linux does it")
def test_files_and_their_folders_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file before it has its name, a folder with all in it; the other tests do without."""
    waited: list[str] = []

    def fsync(descriptor: int) -> None:
        waited.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        posix.fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with atomic_output(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
    assert waited == [temporary.name, tmp_path.name]
    waited.clear()
    with atomic_folder(tmp_path / "model") as new:
        (new / "weights").write_text("x")
    assert waited == ["weights", new.name, tmp_path.name]
