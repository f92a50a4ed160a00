"""A lock is held once, and dies with its process; a folder belongs to one command at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.locks import held, lock, owned


def test_a_lock_is_held_once_and_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held(path) as first, held(path) as second:
        assert first and not second
    assert not path.exists()
    code = (
        "import sys, time; from pathlib import Path; from ctgrid.base.locks import held\n"
        "with held(Path(sys.argv[1])) as mine:\n    print(mine, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "True\n"
        with held(path) as mine:
            assert not mine
        other.kill()
        other.wait()
    assert path.exists()
    with held(path) as mine:
        assert mine


def test_an_open_file_is_locked_until_it_is_closed(tmp_path: Path) -> None:
    """Who does not wait is told at once; who waits has it when the other lets go."""
    path = tmp_path / "list"
    order: list[str] = []

    def append() -> None:
        with path.open("ab") as mine:
            assert lock(mine, wait=True)
            order.append("waited")

    with path.open("wb") as first, path.open("rb") as second:
        assert lock(first) and not lock(second) and not lock(second.fileno())
        waiting = Thread(target=append)
        waiting.start()
        waiting.join(0.1)
        order.append("closed")
    waiting.join(10)
    assert order == ["closed", "waited"]


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
