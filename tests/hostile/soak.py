"""Damage files and kill commands for minutes on end, and print what became of it: ``python soak.py SECONDS [SEED]``."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from forked import Server
from fuzz import Tally, fuzz
from readers import READERS

HERE = Path(__file__).parent
EACH = 20
"""Damaged files of each kind in a round."""


def main(seconds: float, seed: int) -> int:
    """Soak, each round with the next seed; return the number of faults."""
    last, tally, told = time.monotonic() + seconds, Tally(), 0
    print(f"{seconds:g} seconds from seed {seed}, {len(READERS)} kinds of file", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        server = Server()
        while time.monotonic() < last:
            fuzz(server, Path(folder), list(READERS), seed, 0, EACH, last, tally)
            accidents(Path(folder), seed, last - time.monotonic(), tally)
            results = ("right", "refused", "read", "wrong")
            print(f"seed {seed}:", *(f"{tally.total(one)} {one}" for one in results), flush=True)
            print(*tally.wrong[told:], sep="\n", end="\n" * (len(tally.wrong) > told), flush=True)
            seed, told = seed + 1, len(tally.wrong)
        server.close()
    table(tally.counts)
    print(f"{tally.total()} cases, {len(tally.wrong)} faults", *tally.wrong, sep="\n")
    return len(tally.wrong)


def accidents(folder: Path, seed: int, seconds: float, tally: Tally) -> None:
    """Run the tests of accidents once, with kills at other moments, as far as the time goes."""
    command = [sys.executable, "-m", "pytest", "-v", "-rfE", "--color=no", "-p", "no:cacheprovider"]
    options = [f"--hostile-seed={seed}", f"--basetemp={folder / 'accidents'}", str(HERE / "test_accidents.py")]
    if seconds <= 0:
        return
    said = folder / "accidents.txt"
    with said.open("w") as out, suppress(subprocess.TimeoutExpired):  # the time is up: what is done counts
        subprocess.run([*command, *options], stdout=out, check=False, timeout=seconds)
    text = said.read_text(errors="replace")
    whys = dict(re.findall(r"^(?:FAILED|ERROR) \S+::(\S+)(.*)", text, re.M))
    for name, result in re.findall(r"^\S+::(\S+) (PASSED|FAILED|ERROR)", text, re.M):
        right = result == "PASSED"
        why = "" if right else f"{name}, seed {seed}: {whys.get(name, '')}"
        tally.add(name.partition("[")[0], "right" if right else "wrong", why)


def table(counts: Counter[tuple[str, str]]) -> None:
    """Print the counts by kind."""
    results = ("right", "refused", "read", "wrong")
    print(f"{'kind':60}", *(f"{one:>8}" for one in results))
    for name in dict.fromkeys(name for name, _ in counts):
        print(f"{name:60}", *(f"{counts[name, one]:8}" for one in results))


if __name__ == "__main__":
    sys.exit(min(1, main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time()))))
