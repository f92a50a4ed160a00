"""Measure denoising on a clean scan: figures by noise, what each part adds, nodules, time and memory; print the tables.

    python benchmarks/denoising.py ../shared/data/ct/test/lidc0028 --out runs/denoising
    python benchmarks/denoising.py SCAN --out runs/denoising --parts speed     # one part; later runs print all there is

Goes on where it was stopped: what is in the folder and was made with the same weights and settings is not computed
again (times are, where --parts names speed). `quality` and `slow` are `ctgrid evaluate denoising`, `nodules` is
`ctgrid evaluate nodules`; the commands they stand for are printed. `speed` runs methods on the whole volume, one after
the other in one process on all cores; peak memory is that of the process while a method ran.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ctgrid.base.files import atomic_output
from ctgrid.methods.denoising.methods import METHODS, Loading, load_method
from ctgrid.runs.evaluation.denoising import evaluate_denoising
from ctgrid.runs.evaluation.denoising_plan import Evaluation
from ctgrid.runs.evaluation.nodule_trial import evaluate_nodules
from ctgrid.runs.evaluation.noise import Noise, clipped, parse_noise
from ctgrid.runs.evaluation.plots import draw_all
from ctgrid.runs.results.kinds import describe
from ctgrid.runs.results.markdown import aligned, description_markdown
from ctgrid.scan.volume import Volume

NOISES = ("gaussian:50,100,200,400", "low-dose:0.25")
DEFAULT = "grid-detail"
FILTERS = ("nlm", "tv", "bilateral", "wavelet", "curvature-flow", "anisotropic-diffusion")
SWITCHED = ("phases=1", "refine=off", "start=noised,refine_start=noised", "detail=off")
"""Parts of the default that are switched off, one at a time; ``detail`` is the default without diffusion."""

PARTS = {
    "quality": ("noisy", *FILTERS, "grid-paper", "grid", "detail", DEFAULT, *(f"{DEFAULT}[{s}]" for s in SWITCHED)),
    "slow": ("nlm", "patch-based", DEFAULT),
    "nodules": ("noisy", "nlm", "tv", "grid-paper", "grid", "detail", DEFAULT),
    "speed": ("nlm", DEFAULT, "detail", "grid"),
}
"""Methods of each part."""

SPEED_HU = (50.0, 200.0)


def quality(scan: Path, out: Path, part: str, slices: str, loading: Loading) -> None:
    """Evaluate the methods of a part on some slices."""
    noises = tuple(noise for text in NOISES for noise in parse_noise(text))
    plan = Evaluation(noises=noises, methods=PARTS[part], slices=slices, loading=loading)
    tell("denoising", scan, NOISES, part, out / part, slices, loading)
    draw_all(evaluate_denoising([scan], plan, out / part, progress=progress).rows, out / part)


def nodules(scan: Path, out: Path, slices: str, loading: Loading) -> None:
    """Plant nodules."""
    noises = (Noise("gaussian", 50.0), Noise("gaussian", 200.0))
    plan = Evaluation(noises=noises, methods=PARTS["nodules"], slices=slices, loading=loading)
    tell("nodules", scan, ["gaussian:50,200"], "nodules", out / "nodules", slices, loading)
    evaluate_nodules([scan], plan, out / "nodules", progress=progress)


def speed(scan: Path, out: Path, loading: Loading) -> None:
    """Run methods on the whole volume."""
    clean = clipped(Volume.read(scan).reoriented("LPS"))
    methods = {
        name: load_method(name, model=loading.model, device=loading.device, dtype=loading.dtype)
        for name in PARTS["speed"]
    }
    rows = []
    for level in SPEED_HU:
        noisy = Noise("gaussian", level).apply(clean, np.arange(len(clean.hu)), seed=0)
        volume = Volume(np.rint(noisy).astype(np.int16), clean.affine, clean.record)
        for name, method in methods.items():
            forget_peak()
            started = time.perf_counter()
            phases = method.run(volume, level).phases
            seconds = time.perf_counter() - started
            row = {"noise_hu": level, "method": name, "seconds": seconds, "peak_mib": peak_mib(), "phases": phases}
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
    about = {"shape": list(clean.shape), "threads": torch.get_num_threads(), "rows": rows}
    with atomic_output(out / "speed.json", overwrite=True) as temporary:
        temporary.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def forget_peak() -> None:
    """Begin counting the peak of memory anew (Linux)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_mib() -> float:
    """Return the most memory this process has held since."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert match is not None
    return int(match[1]) / 1024


def tables(out: Path) -> str:
    """Return all tables that the folder has results for."""
    text = []
    rows = read(out / "quality" / "results.json")
    if rows:
        text += [figures(rows), parts_table(rows), description_markdown(describe(rows))]
    slow = read(out / "slow" / "results.json")
    if slow:
        text.append(description_markdown(describe(slow)))
    planted = read(out / "nodules" / "nodules.json")
    if planted:
        text.append(description_markdown(describe(planted)))
    about = read(out / "speed.json")
    if about:
        text.append(speed_table(about))
    return "\n\n".join(text)


def figures(rows: Sequence[dict[str, Any]]) -> str:
    """Return the default beside the best filter and the paper's algorithm, by noise."""
    headings = ["noise", "noisy", "best filter", "", "grid-paper", "grid", "detail", DEFAULT, "above the filter"]
    body = []
    for noise in dict.fromkeys(row["noise"] for row in rows):
        of = {row["method"]: row for row in rows if row["noise"] == noise}
        classical = [row for name, row in of.items() if name in METHODS and METHODS[name].classical]
        best = max(classical, key=lambda row: row["psnr"], default=None)
        others = [pair(of.get(name)) for name in ("grid-paper", "grid", "detail", DEFAULT)]
        gain = "-"
        if best is not None and DEFAULT in of:
            highest = max(row["ssim"] for row in classical)
            gain = f"{of[DEFAULT]['psnr'] - best['psnr']:+.2f} / {of[DEFAULT]['ssim'] - highest:+.4f}"
        name = best["method"] if best is not None else "-"
        body.append([noise, pair(of.get("noisy")), name, pair(best), *others, gain])
    return "PSNR dB / SSIM\n\n" + aligned(headings, body)


def parts_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return what is lost where a part of the default is switched off."""
    noises = list(dict.fromkeys(row["noise"] for row in rows))
    names = [name for name in dict.fromkeys(row["method"] for row in rows) if name.startswith(DEFAULT)] + ["detail"]
    of = {(row["method"], row["noise"]): row for row in rows}
    body = [[name, *(pair(of.get((name, noise))) for noise in noises)] for name in names]
    return "Parts of the default, PSNR dB / SSIM\n\n" + aligned(["", *noises], body)


def speed_table(about: dict[str, Any]) -> str:
    """Return seconds and memory beside those of the first method."""
    first = {row["noise_hu"]: row["seconds"] for row in about["rows"][::-1] if row["method"] == PARTS["speed"][0]}
    body = [
        [
            row["method"],
            f"{row['noise_hu']:g}",
            f"{row['seconds']:.1f}",
            f"{row['seconds'] / first[row['noise_hu']]:.2f}",
            f"{row['peak_mib']:.0f}",
            ", ".join(f"{name} {seconds:.1f}" for name, seconds in row["phases"].items()),
        ]
        for row in about["rows"]
    ]
    size = " x ".join(map(str, about["shape"][::-1]))
    headings = ["method", "noise HU", "s", f"of {PARTS['speed'][0]}", "peak MiB", "phases, s"]
    return f"{size} voxels, {about['threads']} threads\n\n" + aligned(headings, body)


def pair(row: dict[str, Any] | None) -> str:
    """Write PSNR and SSIM."""
    return "-" if row is None else f"{row['psnr']:.2f} / {row['ssim']:.4f}"


def read(path: Path) -> Any:
    """Return a JSON file's content, or None where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def tell(command: str, scan: Path, noises: Sequence[str], part: str, out: Path, slices: str, loading: Loading) -> None:
    """Print the command that does the same."""
    line = f"ctgrid evaluate {command} --clean {scan} --noise {' '.join(noises)} --methods '{','.join(PARTS[part])}'"
    print(f"{line} --slices {slices} --model {loading.model} --out {out}", file=sys.stderr, flush=True)


def progress(phase: str, done: int, total: int) -> None:
    """Say what is done, on one line."""
    print(f"\r{time.strftime('%H:%M:%S')} {phase} {done}/{total}   ", end="", file=sys.stderr, flush=True)


def main() -> None:
    """Measure what is wanted, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", default=",".join(PARTS), help="of " + ", ".join(PARTS) + "; an empty text: none")
    parser.add_argument("--slices", default="10::30", help="measured slices")
    parser.add_argument("--slow-slices", default="70", help="likewise for the methods that take half a minute a slice")
    parser.add_argument("--nodule-slices", default="45:95", help="an unbroken range")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    wanted = [part for part in arguments.parts.split(",") if part]
    if not set(wanted) <= set(PARTS):
        parser.error(f"--parts {arguments.parts}: there are {', '.join(PARTS)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    loading = Loading(arguments.model, arguments.device)
    for part in wanted:
        if part == "nodules":
            nodules(arguments.scan, arguments.out, arguments.nodule_slices, loading)
        elif part == "speed":
            speed(arguments.scan, arguments.out, loading)
        else:
            slices = arguments.slices if part == "quality" else arguments.slow_slices
            quality(arguments.scan, arguments.out, part, slices, loading)
    text = tables(arguments.out)
    with atomic_output(arguments.out / "tables.md", overwrite=True) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    print(f"\n{text}")


if __name__ == "__main__":
    main()
