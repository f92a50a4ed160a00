"""Time the usual work on this machine, and compare with the last time on a machine of the same kind.

python benchmarks/benchmark.py                  # appends to benchmarks/results.jsonl, writes docs/measured/benchmark.md
python benchmarks/benchmark.py --only denoise   # one task, printed and not kept

Tasks are ctgrid commands on phantoms made here, each in a process of its own, one after the other; all of it takes
minutes on two cores. Nothing else should run meanwhile: where something did, the run is marked as of a busy machine
and compares by the processor's seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import machine

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.jsonl"
PAGE = HERE.parent / "docs/measured/benchmark.md"
SLOWER = 1.15
"""From this ratio on a task counts as slower: less is chance on a shared machine."""
BUSY = 0.1
"""From this share of all cores on what other processes took makes a machine busy."""

TASKS = {
    "phantom, 48 slices": "simulate phantom --slices 48 --seed 1 --count 1 --out scans",
    "low dose, 48 slices": "simulate low-dose scans/phantom_0000.nii.gz --dose 0.25 --out scans/noisy.nii.gz",
    "synthesize, 201 slices": "synthesize --slices 201 --out synthetic.nii.gz",
    "denoise, 48 slices": "denoise scans/noisy.nii.gz --out cleaned/clean.nii.gz",
    "denoise by detail, 48 slices": "denoise scans/noisy.nii.gz --method detail --out cleaned/detail.nii.gz",
    "denoise by nlm, 48 slices": "denoise scans/noisy.nii.gz --method nlm --out cleaned/nlm.nii.gz",
    "prepare, one scan": "prepare synthetic.nii.gz --protocol generatect --out chest.zarr",
    "train stage 1, 8 steps": "train stage1 --config embedded-stage1 --data scans --out stage1"
    " --set stage1.variants=1 --set optimisation.steps=8 --set optimisation.decay_steps=0",
    "train stage 2, 8 steps": "train stage2 --config embedded-stage2 --data scans --out stage2"
    " --set stage2.degradations=1 --set optimisation.steps=8 --set optimisation.decay_steps=0",
    "evaluate volumes, two and three": "evaluate volumes --real scans --fake cleaned --no-cache --out measures",
    "report": "report synthetic.nii.gz measures --out report.html",
}
"""Commands in the order in which they run; later ones read what earlier ones made."""


def run(arguments: str, folder: Path) -> dict[str, Any]:
    """Run one command; return its seconds by clock and processor, start to end, its peak memory and its phases."""
    start, before = time.perf_counter(), processor_seconds()
    command = [sys.executable, "-m", "ctgrid_cli", *arguments.split(), "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"ctgrid {arguments}\n{done.stderr}")
    record = json.loads(done.stdout)
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(processor_seconds() - before, 1),
        "peak_mib": round(record["peak_memory_mib"]["process"]),
        "phases": {name: round(s, 2) for name, s in record.get("phases", {}).items()},
    }


def processor_seconds() -> float:
    """Return the seconds of processor that the commands run so far took, over all cores."""
    used = os.times()
    return used.children_user + used.children_system


def measure(only: str | None) -> dict[str, Any]:
    """Run the tasks; with ``only`` those whose name holds it, and what they need."""
    found = {"date": date.today().isoformat(), "machine": machine.facts(), "others": None, "tasks": {}}
    start, own, all_of_it = time.perf_counter(), sum(os.times()[:4]), machine.processor_seconds()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "cleaned").mkdir()  # a set, which evaluation takes
        for name, arguments in TASKS.items():
            row = run(arguments, Path(folder))
            times = f"{row['seconds']:8.1f} s {row['cpu_seconds']:8.1f} CPU s"
            print(f"{name:32} {times} {row['peak_mib']:6d} MiB", flush=True)
            found["tasks"][name] = row
            if only and only in name:
                break
    if all_of_it is not None:
        others = (machine.processor_seconds() or 0) - all_of_it - (sum(os.times()[:4]) - own)
        found["others"] = round(max(0.0, others) / ((time.perf_counter() - start) * (os.cpu_count() or 1)), 2)
    return found


def busy(run: dict[str, Any]) -> bool:
    """Tell whether other work ran beside a run."""
    return run["others"] is not None and run["others"] >= BUSY


def runs() -> list[dict[str, Any]]:
    """Read the runs that were kept, oldest first."""
    return [json.loads(row) for row in RESULTS.read_text(encoding="utf-8").splitlines()] if RESULTS.exists() else []


def compared(run: dict[str, Any], before: dict[str, Any] | None) -> list[str]:
    """Write a run as a table, beside the run before it on the same kind of machine."""
    clock = "cpu_seconds" if before and (busy(run) or busy(before)) else "seconds"
    told = {"seconds": "seconds", "cpu_seconds": "CPU seconds"}[clock]
    rows = [f"| task | seconds | CPU seconds | peak MiB | before, {told} | ratio |", "|---|---|---|---|---|---|"]
    for name, row in run["tasks"].items():
        old = before["tasks"].get(name) if before else None
        ratio = row[clock] / old[clock] if old and old[clock] else None
        compares = "" if ratio is None else f"{ratio:.2f}" + (" slower" if ratio >= SLOWER else "")
        here = f"{row['seconds']} | {row['cpu_seconds']} | {row['peak_mib']}"
        rows.append(f"| {name} | {here} | {old[clock] if old else ''} | {compares} |")
    done = run["tasks"].values()
    sums = " | ".join(f"{sum(row[name] for row in done):.1f}" for name in ("seconds", "cpu_seconds"))
    return [*rows, f"| all | {sums} | {max(row['peak_mib'] for row in done)} | | |"]


def conditions(run: dict[str, Any]) -> str:
    """Say when a run was, with which versions, and what ran beside it."""
    beside = "" if run["others"] is None else f", other work took {run['others']:.0%} of the cores"
    mark = "**busy machine**: " if busy(run) else ""
    return f"{mark}{run['date']}, ctgrid {run['machine']['ctgrid']}, torch {run['machine']['torch']}{beside}"


def page(kept: list[dict[str, Any]]) -> str:
    """Write the newest run of every kind of machine, beside the one before it."""
    lines = [
        "# Measured: the benchmark set",
        "",
        "`make benchmark` times eleven commands on phantoms, each in a process of its own, from its start to its end,"
        " and adds a run to this page. Ratios are to the run before on the same kind of machine; of a busy one they are"
        " of the processor's seconds.",
        "",
    ]
    if not kept:
        lines += ["No run has been kept yet.", ""]
    kinds = {machine.kind(run["machine"]) for run in kept}
    newest = sorted(max(i for i, run in enumerate(kept) if machine.kind(run["machine"]) == k) for k in kinds)
    for index in reversed(newest):
        run = kept[index]
        same = [r for r in kept[:index] if machine.kind(r["machine"]) == machine.kind(run["machine"])]
        lines += [f"## {machine.line(run['machine'])}", "", conditions(run), ""]
        lines += [*compared(run, same[-1] if same else None), ""]
    return "\n".join(lines)


def main() -> None:
    """Parse arguments, measure, keep and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="TASK", help="stop after the first task whose name holds this; keep nothing")
    arguments = parser.parse_args()
    found = measure(arguments.only)
    if arguments.only:
        return
    kept = [*runs(), found]
    RESULTS.write_text("".join(json.dumps(run) + "\n" for run in kept), encoding="utf-8")
    PAGE.write_text(page(kept), encoding="utf-8")
    same = [run for run in kept[:-1] if machine.kind(run["machine"]) == machine.kind(found["machine"])]
    table = compared(found, same[-1] if same else None)
    print("\n".join(["", machine.line(found["machine"]), conditions(found), *table]))


if __name__ == "__main__":
    main()
