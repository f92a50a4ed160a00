"""Methods where the clean truth is known: a phantom, and a real chest whose own noise was taken out first.

    python benchmarks/clean_truth.py --phantom 3 --slices 60,110,150 --out runs/truth
    python benchmarks/clean_truth.py --scan DATA/test/lidc0028.nii.gz --slices 10,70,130 --out runs/truth --smoothed nlm

A phantom has no noise, and shapes that are smoother than life. A scan is smoothed by `--smoothed METHOD` (at the
strength that it measures) before anything is added: real anatomy without noise, but a filter's picture of it, which
that filter finds again more easily than others do. Then noise is made in projections and taken out; filters are told
each of a row of strengths and the best by PSNR counts, the network measures for itself. PSNR over 2000 HU in dB /
SSIM / VIF.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scanner_noise import noisy_slices

from ctgrid.data.simulate import phantom
from ctgrid.methods.denoising.methods import load_method
from ctgrid.metrics.reconstruction import psnr, ssim
from ctgrid.metrics.vif import vif
from ctgrid.runs.evaluation.noise import clipped
from ctgrid.scan.noise import estimate_noise
from ctgrid.scan.volume import Volume

FILTERS, FACTORS = ("nlm", "tv"), (0.6, 0.8, 1.0, 1.3)
CASES = ((0.25, "standard"), (0.1, "standard"), (0.1, "smooth"), (0.05, "standard"))
SHAPE, SPACING_MM = (201, 512, 512), (1.5, 0.7, 0.7)


def truth(given: argparse.Namespace) -> Path:
    """Write the clean truth, or find it written, and return its path."""
    path = given.out / f"{given.name}.nii.gz"
    if path.exists():
        return Path(path)
    if given.scan is None:
        return Path(phantom(given.phantom, SHAPE, SPACING_MM).write(path))
    scan = clipped(Volume.read(given.scan).reoriented("LPS"))
    wanted = sorted({z + step for z in given.slices for step in (-1, 0, 1)})
    part = Volume(scan.hu[wanted], scan.affine)
    clean = load_method(given.smoothed, model=given.model).run(part, 1.5 * estimate_noise(scan)).volume
    hu = scan.hu.copy()
    hu[wanted] = clean.hu
    return Path(Volume(hu, scan.affine).write(path))


def measured(found: np.ndarray, clean: np.ndarray) -> tuple[float, float, float]:
    """Return PSNR, SSIM and VIF of slices (n, y, x)."""
    found, clean = (np.clip(part.astype(np.float64), -1000, 1000) for part in (found, clean))
    each = [psnr(a, b, 2000) for a, b in zip(found, clean, strict=True)]
    return float(np.mean(each)), ssim(found + 1000, clean + 1000, 2000), vif(found, clean, 2000)


def main() -> None:
    """Print the table of one truth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phantom", type=int, default=0, help="seed of the phantom")
    parser.add_argument("--scan", type=Path, help="a scan, instead of a phantom")
    parser.add_argument("--smoothed", default="nlm", help="how the scan's own noise is taken out")
    parser.add_argument("--slices", required=True, type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="embedded")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    source = given.scan.name.split(".")[0] if given.scan else ""
    given.name = f"{source}-{given.smoothed}" if given.scan else f"phantom{given.phantom}"
    kept = given.out / f"noise-{given.name}.npz"
    print("| truth | noise | noisy | best filter | | network | above |\n| --- | --- | --- | --- | --- | --- | --- |")
    network: Any = load_method("detail", model=given.model)
    for dose, kernel in CASES:
        slices = noisy_slices(truth(given), given.slices, kept, [dose], [kernel])
        noisy = (slices.clean + np.rint(slices.noise[dose, kernel])).astype(np.int16)
        clean, seen = slices.clean[slices.wanted], Volume(noisy[slices.wanted], slices.affine)
        level = estimate_noise(Volume(noisy, slices.affine))
        tried = [
            (measured(load_method(name).run(seen, level * factor).volume.hu, clean), name)
            for name in FILTERS
            for factor in FACTORS
        ]
        best, name = max(tried)
        answer = network.run(Volume(noisy, slices.affine), "auto", only=slices.wanted).volume.hu[slices.wanted]
        ours, before = measured(answer, clean), measured(seen.hu, clean)
        cells = [f"{p:.2f} / {s:.4f} / {v:.3f}" for p, s, v in (before, best, ours)]
        print(
            f"| {given.name} | low-dose:{dose:g}, {kernel} | {cells[0]} | {name} | {cells[1]} | {cells[2]} | "
            f"{ours[0] - best[0]:+.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
