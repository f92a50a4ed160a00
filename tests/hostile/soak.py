"""Damage files and kill commands for minutes on end, and print what became of it: ``python soak.py MINUTES [SEED]``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fuzz import fuzz
from readers import READERS

EACH = 20
ACCIDENTS = Path(__file__).with_name("test_accidents.py")


def main(minutes: float, seed: int) -> int:
    """Soak; return the number of faults."""
    last, counts, faults, first = time.monotonic() + 60 * minutes, Counter[str](), list[str](), 0
    print(f"seed {seed}, {minutes:g} minutes, {len(READERS)} kinds of file", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < last:
            tally = fuzz(Path(folder), list(READERS), seed, first, EACH, last)
            counts.update(tally.counts)
            faults += tally.wrong
            first += EACH
            print(f"damaged files: {dict(counts)}", *tally.wrong, sep="\n", flush=True)
            if first % (4 * EACH) == 0 and time.monotonic() < last:
                command = [sys.executable, "-m", "pytest", "-q", str(ACCIDENTS), f"--hostile-cases={first}"]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                print(f"accidents: {done.stdout.strip().splitlines()[-1]}", flush=True)
                faults += [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    print(f"{sum(counts.values())} damaged files: {dict(counts)}; {len(faults)} faults", *faults, sep="\n")
    return len(faults)


if __name__ == "__main__":
    sys.exit(min(1, main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time()))))
