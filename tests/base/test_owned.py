"""A folder belongs to one command at a time, and must stay where it is."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.locks import owned
from ctgrid.base.present import Present
from ctgrid.base.remains import scratch

HOLDER = """
import sys, time; from pathlib import Path; from ctgrid.base.locks import owned
with owned(Path(sys.argv[1]), "train"):
    print("held", flush=True); time.sleep(60)
"""


def test_the_second_is_told_who_holds_the_folder_and_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(CtgridError, match=rf"ctgrid train \(process {process.pid} on {os.uname().nodename}\)"):
            owned(folder, "train").__enter__()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with owned(folder, "train"):
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_lock_whose_file_says_nothing_is_still_a_lock(tmp_path: Path) -> None:
    with owned(tmp_path / "run", "train"):
        (tmp_path / ".run.lock").write_bytes(b"\xff{")
        with pytest.raises(CtgridError, match="another ctgrid is at work"):
            owned(tmp_path / "run", "train").__enter__()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_where_the_parent_cannot_be_written_the_lock_lies_inside(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    tmp_path.chmod(0o555)
    try:
        with owned(folder, "train"):
            assert (folder / ".ctgrid.lock").exists()
    finally:
        tmp_path.chmod(0o755)


def test_a_folder_that_goes_or_is_replaced_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Present(folder) as present:
        present.check()
        folder.mkdir()
        present.check()
        present.check()
        shutil.rmtree(folder)
        with pytest.raises(CtgridError, match="was removed while"):
            present.check()
        folder.mkdir()
        with pytest.raises(CtgridError, match="replaced by another"):
            present.check()


def test_scratch_folders_of_killed_processes_go_and_those_of_living_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "ctgrid-results").mkdir()
    code = (
        "import os, tempfile; from ctgrid.base.remains import scratch\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "with scratch() as f: (f / 'x').touch(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    (left,) = set(tmp_path.glob("ctgrid-*")) - {tmp_path / "ctgrid-results"}
    with scratch() as one, scratch() as two:
        assert one != two and one.is_dir() and two.is_dir() and not left.exists()
        assert one.stat().st_mode & 0o777 == 0o700
    assert [p.name for p in tmp_path.iterdir()] == ["ctgrid-results"]
