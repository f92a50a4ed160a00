"""Run damaged files through every reader in a process of its own, which may crash, hang, or ask for all memory."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

WORKER = Path(__file__).with_name("worker.py")
PATIENCE_S = 60.0
"""Without a word, after which a reader hangs; the machine may be busy."""


@dataclass
class Tally:
    """What became of the cases.

    Attributes:
        counts: by ``read``, ``refused`` and ``wrong``.
        wrong: one line for each that is.
    """

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def fuzz(folder: Path, names: Sequence[str], seed: int, first: int, count: int, last: float = float("inf")) -> Tally:
    """Read so many damaged files of each kind.

    Args:
        folder: For the files.
        names: Of the readers.
        seed: Decides all damage.
        first: Number of the first case of each reader.
        count: Of cases of each reader.
        last: Time on the monotonic clock after which no further case is begun.
    """
    tally, left = Tally(), list(names)
    begun = first
    while left:
        current: dict[str, object] | None = None
        for line in _lines(folder, seed, begun, first + count - begun, left[:1] if begun > first else left):
            if line is None:
                break
            current = line
            if "result" in line:
                tally.counts[str(line["result"])] += 1
                if line["result"] == "wrong":
                    tally.wrong.append(f"{line['name']} {seed} {line['number']}: {line['why']}")
            if time.monotonic() > last:
                return tally
        else:
            left = left[1:] if begun > first else []
            begun = first
            continue
        if current is None:
            tally.wrong.append(f"{left[0]}: the whole file is not read")
            left, begun = left[1:], first
            continue
        tally.counts["wrong"] += 1
        tally.wrong.append(f"{current['name']} {seed} {current['number']}: the process crashed or hung")
        left = left[left.index(str(current["name"])) :]
        begun = int(str(current["number"])) + 1
        if begun >= first + count:
            left, begun = left[1:], first
    return tally


def _lines(folder: Path, seed: int, first: int, count: int, names: Sequence[str]) -> Iterator[dict[str, object] | None]:
    """Yield what a worker says; None last where it crashed or hung."""
    command = [sys.executable, str(WORKER), str(folder), str(seed), str(first), str(count), *names]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CTGRID_OFFLINE": "1"}
    errors = folder / "worker.err"
    with errors.open("wb") as stream:
        worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stream, env=environment)
    assert worker.stdout is not None
    held = b""
    try:
        while True:
            ready, _, _ = select.select([worker.stdout], [], [], PATIENCE_S)
            if not ready:
                yield None
                return
            read = os.read(worker.stdout.fileno(), 1 << 16)
            if not read:
                break
            *lines, held = (held + read).split(b"\n")
            for line in lines:
                yield json.loads(line)
        if worker.wait() != 0:
            yield None
    finally:
        worker.kill()
        worker.wait()
        worker.stdout.close()
