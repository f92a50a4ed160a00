"""Time one scan through protocol `generatect`, beside SimpleITK.ReadImage and GenerateCT's own way of loading it.

    python benchmarks/prepare.py                        # a made-up chest of 512 x 512 x 300, int16 .nii.gz
    python benchmarks/prepare.py --scan SCAN.nii.gz --runs 9

Prints one JSON object. Ours gives slices of 512 x 512 and coarse ones of 128 x 128 in one pass (int16 HU);
the other loader gives 128 x 128 alone. Times are medians over runs taken in turn in one process, imports left
out, so that a busy machine slows all alike; peak memory is that of a fresh process each, imports included.

GenerateCT's loader is restated here from its published steps, not copied: nibabel's ``get_fdata`` (float64),
slope and intercept truncated to integers, clip to [-1000, 1000], divide by 1000, PIL's bilinear filter on each
slice, one trilinear interpolation to 201 slices.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

SIZE, K = 512, 4


def simpleitk(path: Path) -> Any:
    """Read the file, nothing more."""
    import SimpleITK as sitk

    return sitk.ReadImage(str(path))


def ctgrid_pass(path: Path) -> Any:
    """Read it, find its HU, and make both resolutions."""
    from ctgrid.scan.protocols.generatect import generatect_pass

    return generatect_pass(path, SIZE, K)


def reference_loader(path: Path) -> Any:
    """Take the published steps of GenerateCT's loader, to 128 x 128."""
    import nibabel
    import torch
    from PIL import Image
    from torch.nn.functional import interpolate

    said = json.loads(path.with_name(path.name.replace(".nii.gz", "_metadata.json")).read_text(encoding="utf-8"))
    values = nibabel.load(path).get_fdata()
    values = int(said["RescaleSlope"]) * values + int(said["RescaleIntercept"])
    values = (np.clip(values, -1000, 1000) / 1000).astype(np.float32)
    slices = [values[:, :, i] for i in range(values.shape[2])]
    if said.get("Manufacturer") == "PNMS":
        slices.reverse()
    side = SIZE // K
    small = [np.array(Image.fromarray(s).resize((side, side), Image.Resampling.BILINEAR)) for s in slices]
    return interpolate(torch.from_numpy(np.stack(small))[None, None], size=(201, side, side), mode="trilinear")


WAYS: dict[str, Callable[[Path], Any]] = {
    "simpleitk_read": simpleitk,
    "ctgrid_512_and_128": ctgrid_pass,
    "generatect_loader_128": reference_loader,
}


def made_up_scan(folder: Path, slices: int = 300) -> Path:
    """Write a chest-like raw scan: body, lungs, vessels, spine, noise of 20 HU; padding outside the round field."""
    import nibabel

    rng = np.random.default_rng(0)
    y, x = np.meshgrid(*(np.linspace(-1, 1, 512),) * 2, indexing="ij")
    flat = np.full((512, 512), -1000.0)
    flat[(x / 0.85) ** 2 + (y / 0.65) ** 2 < 1] = 40
    for side in (-0.4, 0.4):
        lung = ((x - side) / 0.3) ** 2 + (y / 0.45) ** 2 < 1
        flat[lung] = -850
        flat[lung & (np.hypot((x * 12) % 1 - 0.5, (y * 12) % 1 - 0.5) < 0.15)] = 30
    flat[(x / 0.1) ** 2 + ((y - 0.45) / 0.1) ** 2 < 1] = 400
    raw = np.empty((slices, 512, 512), np.int16)
    for plane in raw:
        plane[...] = np.rint(flat + 20 * rng.standard_normal(flat.shape) + 1024)
        plane[np.hypot(x, y) > 1] = 0
    path = folder / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(raw.transpose(2, 1, 0), np.diag([-0.7, -0.7, 1.0, 1.0])), path)
    said = {"RescaleSlope": 1, "RescaleIntercept": -1024, "Manufacturer": "Siemens Healthineers"}
    path.with_name("scan_metadata.json").write_text(json.dumps(said), encoding="utf-8")
    return path


def peak_of_this_process() -> float:
    """Return peak memory in MB; by Linux's own count, as the portable one includes what the parent process had."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peak_mb(way: str, path: Path) -> float:
    """Return the peak memory in MB of a fresh process that goes one way once."""
    done = subprocess.run(
        [sys.executable, __file__, "--scan", str(path), "--only", way], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scan", type=Path, help=".nii.gz with NAME_metadata.json beside it; default: a made-up one")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        WAYS[args.only](args.scan)
        print(peak_of_this_process())
        return
    with tempfile.TemporaryDirectory() as folder:
        path = args.scan or made_up_scan(Path(folder))
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        for run in range(-1, args.runs):  # the first is not counted: it imports
            for way, work in WAYS.items():
                started = time.perf_counter()
                work(path)
                if run >= 0:
                    seconds[way].append(time.perf_counter() - started)
        memory = {way: round(peak_mb(way, path)) for way in WAYS}
        megabytes = path.stat().st_size / 2**20
    middle = {way: median(times) for way, times in seconds.items()}
    ours = middle["ctgrid_512_and_128"]
    report = {
        "file_mb": round(megabytes, 1),
        "runs": args.runs,
        "median_s": {way: round(value, 3) for way, value in middle.items()},
        "all_s": {way: [round(t, 3) for t in times] for way, times in seconds.items()},
        "times_simpleitk_read": round(ours / middle["simpleitk_read"], 2),
        "faster_than_generatect_loader": round(middle["generatect_loader_128"] / ours, 2),
        "peak_mb": memory,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
