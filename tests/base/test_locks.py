"""A lock is held once, and dies with its process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from threading import Thread

from ctgrid.base.locks import held, lock


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
