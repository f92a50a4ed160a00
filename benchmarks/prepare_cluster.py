"""Prepare many small volumes on two Dask workers and kill one midway: all there, none twice, the same bytes.

    python benchmarks/prepare_cluster.py                 # 200 volumes, 2 workers, one killed with SIGKILL
    python benchmarks/prepare_cluster.py --count 40 --kill-run   # the whole run is killed too, and run again

Prints one JSON object. The store is compared with one that a single process makes of the same volumes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil


def chest(seed: int, slices: int = 100, side: int = 32) -> np.ndarray:
    """Return a body in air with two lungs, and noise of its own, (z, y, x) int16 HU."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    plane = np.where(x**2 + (y * 1.3) ** 2 < 0.7, 40, -1000)
    plane[(abs(x) - 0.35) ** 2 + y**2 < 0.06] = -850
    noise = np.random.default_rng(seed).integers(-20, 20, (slices, side, side))
    return (plane[None] + noise).astype(np.int16)


def command(folder: Path, out: Path, *options: str) -> list[str]:
    """Return the command line."""
    return [sys.executable, "-m", "ctgrid_cli", "prepare", str(folder), "--out", str(out), "--size", "32", *options]


def wait_for(out: Path, count: int) -> None:
    """Wait until so many volumes are in the store."""
    while len(list(out.glob("train_*"))) < count:
        time.sleep(0.02)


def digest(folder: Path) -> str:
    """Hash names and contents of a tree, hidden files too."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def main() -> None:
    """Make, prepare, kill, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--kill-run", action="store_true", help="kill the whole run at three quarters, too")
    options = parser.parse_args()
    from ctgrid.scan.volume import Volume

    affine = np.diag([-8.0, -8.0, 2.5, 1.0])
    found: dict[str, Any] = {"volumes": options.count, "workers": 2}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        scans = root / "scans"
        scans.mkdir()
        for seed in range(options.count):
            Volume(chest(seed), affine).write(scans / f"train_{seed}_a_1.nii.gz")
        out = root / "X.zarr"
        start = time.perf_counter()
        run = subprocess.Popen(command(scans, out, "--workers", "2"), stdout=subprocess.DEVNULL)
        wait_for(out, options.count // 2)
        children = psutil.Process(run.pid).children()
        worker = next(p for p in children if "spawn_main" in " ".join(p.cmdline()))
        os.kill(worker.pid, signal.SIGKILL)
        found["worker_killed_at"] = len(list(out.glob("train_*")))
        if options.kill_run:
            wait_for(out, options.count * 3 // 4)
            run.kill()
            run.wait()
            found["run_killed_at"] = len(list(out.glob("train_*")))
            run = subprocess.Popen(command(scans, out, "--workers", "2"), stdout=subprocess.DEVNULL)
        found["exit_code"] = run.wait()
        found["seconds_two_workers"] = round(time.perf_counter() - start, 1)
        lines = (root / "X.report.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        found["in_store"] = len(list(out.glob("train_*")))
        found["report"] = dict(Counter(row["status"] for row in rows))
        found["twice"] = len(rows) - len({row["name"] for row in rows})
        start = time.perf_counter()
        subprocess.run(command(scans, root / "Y.zarr"), stdout=subprocess.DEVNULL, check=True)
        found["seconds_one_process"] = round(time.perf_counter() - start, 1)
        found["same_bytes_as_one_process"] = digest(out) == digest(root / "Y.zarr")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
