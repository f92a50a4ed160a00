"""Measure ``ctgrid evaluate volumes``: seconds and memory, and whether distances grow as sets get worse.

    python benchmarks/fidelity.py --out runs/fidelity                              # 32 + 32 phantoms of 201x128x128
    python benchmarks/fidelity.py --out runs/fidelity --volumes 8 --detectors DIR  # with published detectors
    python benchmarks/fidelity.py --out runs/fidelity --scans ../shared/data/ct --synthetic runs/made

Writes fidelity.json and fidelity.md into --out and prints both. Without --scans sensitivity is measured on phantoms.
``--detectors toy`` makes two small random TorchScript networks with the published interface: what the machinery costs
around a detector, and whether FVD's and FID's code paths keep the order; their numbers mean nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ctgrid.data.simulate import phantom
from ctgrid.runs.evaluation.samples import open_samples
from ctgrid.runs.results.markdown import aligned
from ctgrid.scan.volume import Volume

NOISE_HU = (25.0, 75.0, 200.0)


class RandomImage(nn.Module):
    """uint8 (B, 3, H, W) to (B, 32): a random convolutional network."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 32, 7, 4), nn.ReLU(), nn.Conv2d(32, 32, 5, 4), nn.ReLU())

    def forward(self, images: Tensor, return_features: bool = False) -> Tensor:
        """Describe images."""
        return self.layers(images.float() / 127.5 - 1.0).mean([2, 3])


class RandomVideo(nn.Module):
    """uint8 (B, 3, T, H, W) to (B, 32): a random 3-D convolutional network."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(3, 32, [3, 7, 7], [1, 4, 4]), nn.ReLU(), nn.Conv3d(32, 32, 3, 2), nn.ReLU()
        )

    def forward(
        self, clips: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> Tensor:
        """Describe clips."""
        return self.layers(clips.float() / 127.5 - 1.0).mean([2, 3, 4])


def toy_detectors(folder: Path) -> Path:
    """Write both random networks under the published ones' names."""
    folder.mkdir()
    torch.manual_seed(0)
    torch.jit.script(RandomImage()).save(str(folder / "inception-2015-12-05.pt"))
    torch.jit.script(RandomVideo()).save(str(folder / "i3d_torchscript.pt"))
    return folder


def run(out: Path, real: Path, fake: Path, home: Path, options: list[str]) -> dict[str, Any]:
    """Run the command in a process of its own; return its results with seconds and peak memory."""
    command = [sys.executable, "-m", "ctgrid_cli", "evaluate", "volumes", "--real", str(real), "--fake", str(fake)]
    environment = {**os.environ, "CTGRID_HOME": str(home)}
    start = time.perf_counter()
    subprocess.run([*command, "--out", str(out), *options], check=True, env=environment, stdout=subprocess.DEVNULL)
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    cost = {"seconds": round(time.perf_counter() - start, 1), "phases": record["phases"]}
    peak = {"peak_mib": round(record["peak_memory_mib"]["process"])}
    return {"measures": results["measures"], "cost": {**cost, **peak}}


def phantoms(folder: Path, seeds: range, shape: tuple[int, int, int]) -> Path:
    """Write phantoms, a person each."""
    folder.mkdir()
    for seed in seeds:
        phantom(seed, shape, noise_hu=10.0).write(folder / f"phantom-{seed:03d}.nii")
    return folder


def changed(
    source: Path, folder: Path, change: Callable[[np.ndarray, np.random.Generator], np.ndarray], take: slice, size: int
) -> Path:
    """Write changed copies of some volumes, as square axial slices of ``size`` pixels."""
    folder.mkdir()
    for number, sample in enumerate(open_samples(source, size=size)[take]):
        slices = sample.load()
        hu = change(slices.hu.astype(np.float64), np.random.default_rng(number))
        z, y, x = slices.spacing_mm
        volume = Volume(np.rint(np.clip(hu, -1000, 1000)).astype(np.int16), np.diag([-x, -y, z, 1.0]))
        volume.write(folder / f"{sample.name}.nii")
    return folder


def variants(source: Path, folder: Path, size: int) -> Iterator[tuple[str, Path]]:
    """Yield the sets to compare with the first half of ``source``: all made from its other half."""
    others = slice(1, None, 2)
    yield "real, other patients", changed(source, folder / "other", lambda hu, rng: hu, others, size)
    for level in NOISE_HU:

        def noisy(hu: np.ndarray, rng: np.random.Generator, level: float = level) -> np.ndarray:
            return hu + level * rng.standard_normal(hu.shape)

        yield f"noise of {level:g} HU", changed(source, folder / f"noise-{level:g}", noisy, others, size)

    def shuffled(hu: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return hu[rng.permutation(len(hu))]

    yield "slices shuffled", changed(source, folder / "shuffled", shuffled, others, size)


def agreement(real: Path, fake: Path, detectors: Path) -> dict[str, float]:
    """Compare with scipy, MONAI and a plain double sum on the same features of a known TorchScript module.

    Returns:
        Relative differences.
    """
    import scipy.linalg
    from monai.metrics.fid import FIDMetric

    from ctgrid.metrics import frechet_distance, kernel_distance
    from ctgrid.runs.evaluation.fidelity.clips import to_uint8
    from ctgrid.runs.evaluation.fidelity.detectors import Detector, frame_features
    from ctgrid.runs.evaluation.fidelity.protocol import load_protocol

    protocol = load_protocol("stylegan-v@1").protocol
    detector = Detector.open(protocol.detectors.image, detectors)
    a, b = (
        np.concatenate(
            [frame_features(detector, to_uint8(s.load().hu, protocol.window), 3) for s in open_samples(f, size=128)]
        ).astype(np.float64)
        for f in (real, fake)
    )
    A, B = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    by_scipy = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(A + B - 2 * np.real(scipy.linalg.sqrtm(A @ B)))
    by_monai = float(FIDMetric()(torch.from_numpy(a), torch.from_numpy(b)))
    aa, bb, ab = ((x @ y.T / a.shape[1] + 1) ** 3 for x, y in ((a, a), (b, b), (a, b)))
    n, m = len(a), len(b)
    by_sum = (aa.sum() - np.trace(aa)) / (n * (n - 1)) + (bb.sum() - np.trace(bb)) / (m * (m - 1)) - 2 * ab.mean()
    fd, kd = frechet_distance(a, b), kernel_distance(a, b)
    return {
        "frechet_to_scipy": abs(fd / float(by_scipy) - 1),
        "frechet_to_monai": abs(fd / by_monai - 1),
        "kernel_to_plain_sum": abs(kd / float(by_sum) - 1),
    }


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--volumes", type=int, default=32, help="real and as many generated, for the timing")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--slices", type=int, default=201)
    parser.add_argument("--frames", default="16,128,201")
    parser.add_argument("--detectors", default="", help="'toy', a folder, or left out for ctgrid-features alone")
    parser.add_argument("--protocol", default="stylegan-v-ct@1")
    parser.add_argument("--scans", type=Path, help="real scans for the sensitivity table")
    parser.add_argument("--scan-size", type=int, default=256, help="pixels of the scans' slices")
    parser.add_argument("--synthetic", type=Path, help="generated volumes for the sensitivity table")
    parser.add_argument("--no-timing", action="store_true")
    parser.add_argument("--no-sensitivity", action="store_true")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        measures = "ctgrid-features" + (",fvd,fid" if given.detectors else "")
        options = ["--protocol", given.protocol, "--measures", measures]
        if given.detectors:
            folder = toy_detectors(work / "toy") if given.detectors == "toy" else Path(given.detectors)
            options += ["--detectors", str(folder)]
        result: dict[str, Any] = {"threads": torch.get_num_threads(), "options": options}
        shape, count = (given.slices, given.size, given.size), given.volumes
        if not given.no_timing:
            real = phantoms(work / "timing-real", range(count), shape)
            fake = phantoms(work / "timing-fake", range(count, 2 * count), shape)
            timed = [*options, "--frames", given.frames]
            first = run(work / "timing-1", real, fake, work / "home", timed)
            second = run(work / "timing-2", real, fake, work / "home", timed)
            result["timing"] = {"volumes": [count, count], "shape": shape, "computed": first["cost"]}
            result["timing"]["cached"] = second["cost"]
        if given.no_sensitivity:
            write(given.out, result)
            return
        source = given.scans or phantoms(work / "people", range(500, 500 + 12), (64, given.size, given.size))
        half = changed(source, work / "half", lambda hu, rng: hu, slice(0, None, 2), given.scan_size)
        sets = list(variants(source, work, given.scan_size))
        if given.synthetic is not None:
            sets.append(("synthetic", given.synthetic))
        result["sensitivity"] = {}
        for i, (title, folder) in enumerate(sets):
            found = run(work / f"set-{i}", half, folder, work / "home", [*options, "--frames", "16"])
            rows = {row["measure"]: [row["value"], row["confidence"]] for row in found["measures"]}
            result["sensitivity"][title] = rows
        toys = work / "toy" if given.detectors == "toy" else toy_detectors(work / "toy")
        result["agreement"] = agreement(half, sets[0][1], toys)
    result["peak_children_mib"] = round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
    write(given.out, result)


def write(out: Path, result: dict[str, Any]) -> None:
    """Write the figures and print them."""
    text = tables(result)
    (out / "fidelity.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (out / "fidelity.md").write_text(text + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))
    print(text)


def tables(result: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    parts = []
    if "timing" in result:
        timing = result["timing"]
        shape = " x ".join(map(str, timing["shape"]))
        rows = [[how, f"{timing[how]['seconds']:.1f}", f"{timing[how]['peak_mib']}"] for how in ("computed", "cached")]
        parts.append(f"{timing['volumes'][0]} + {timing['volumes'][1]} volumes of {shape}, {result['threads']} threads")
        parts.append(aligned(("features", "seconds", "peak MiB"), rows))
    if "sensitivity" not in result:
        return "\n\n".join(parts)
    names = list(next(iter(result["sensitivity"].values())))
    rows = [[title, *(f"{one[name][0]:.4g}" for name in names)] for title, one in result["sensitivity"].items()]
    parts.append(aligned(("real against", *names), rows))
    rows = [[name, f"{value:.1e}"] for name, value in result["agreement"].items()]
    parts.append(aligned(("agreement on the same features", "relative difference"), rows))
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
