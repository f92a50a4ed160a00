"""Run damaged files through every reader in processes of their own, which may crash, hang, or ask for all memory."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WORKER = "import sys; sys.path.insert(0, sys.argv[1]); import worker; worker.main(*sys.argv[2:])"
PATIENCE_S = 60.0
"""Without a word, after which a reader hangs; the machine may be busy."""


@dataclass
class Tally:
    """What became of the cases.

    Attributes:
        counts: by kind of file and by ``read``, ``refused`` and ``wrong``.
        wrong: one line for each that is.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def total(self, result: str | None = None) -> int:
        """Return the number of cases, of one result or of all."""
        return sum(count for (_, one), count in self.counts.items() if result in (one, None))

    def add(self, name: str, result: str, fault: str = "") -> None:
        """Count one."""
        self.counts[name, result] += 1
        if result == "wrong":
            self.wrong.append(fault)


def fuzz(
    forked: Any, folder: Path, names: Sequence[str], seed: int, first: int, count: int, last: float = float("inf"),
    tally: Tally | None = None,
) -> Tally:  # fmt: skip
    """Read so many damaged files of each kind.

    Args:
        forked: Starts processes; see ``tests/forked.py``.
        folder: For the files.
        names: Of the readers.
        seed: Decides all damage.
        first: Number of the first case of each reader.
        count: Of cases of each reader.
        last: Time on the monotonic clock after which no further kind is begun.
        tally: To be added to.
    """
    tally = tally or Tally()
    for name in names:
        begun = first
        while begun < first + count and time.monotonic() < last:
            current, ended, died = None, False, ""
            for line in _lines(forked, folder, name, seed, begun, first + count - begun):
                current, ended, died = line.get("number", current), "ended" in line, line.get("died", "")
                if "result" in line:
                    tally.add(name, str(line["result"]), f"{name}, seed {seed}, case {current}: {line.get('why')}")
            if ended:
                break
            if current is None:
                tally.add(name, "wrong", f"{name}: the whole file is not read: {died}")
                break
            tally.add(name, "wrong", f"{name}, seed {seed}, case {current}: the process {died}")
            begun = current + 1
    return tally


def _lines(forked: Any, folder: Path, name: str, seed: int, first: int, count: int) -> Iterator[dict[str, Any]]:
    """Yield what a worker says until it ends, crashes, or is silent for too long."""
    pipe = folder / "said"
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    arguments = [Path(__file__).parent, pipe, folder, name, seed, first, count]
    worker = forked(WORKER, *arguments, CTGRID_OFFLINE="1", OMP_NUM_THREADS="1")
    held, read = b"", b"?"
    try:
        while read and select.select([reader], [], [], PATIENCE_S)[0]:
            read = os.read(reader, 1 << 16)
            *lines, held = (held + read).split(b"\n")
            yield from map(json.loads, lines)
    finally:
        os.close(reader)
        if read:
            os.kill(worker.pid, signal.SIGKILL)
        ended = worker.wait()
    if ended.returncode != 0:
        end = ended.stderr.strip().splitlines()[-1:] or [""]
        yield {"died": "hung" if read else f"ended with {ended.returncode}: {end[0]}"}
