"""Tune the classical filters on the validation volume, one noise level at a time, and print the table.

    python benchmarks/tune_baselines.py ../shared/data/ct/validation/rider_0117 [--methods nlm,tv] [--slices 3]

Coordinate descent: one parameter after the other is set to its best value, until none moves. A value is better
when the PSNR (window -1000..1000 HU, mean over slices) is higher. Noise is white and Gaussian, the same for every
filter. What comes out belongs into ctgrid/methods/denoising/baselines/tuned.py. The test volume has no part in it.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from ctgrid.methods.denoising.baselines import filters
from ctgrid.metrics import psnr, ssim
from ctgrid.scan.volume import Volume

NOISE_HU = (50.0, 100.0, 200.0, 400.0)
CENTRE = {"patch_based": 160}  # too slow for whole slices: the middle of each, this many pixels wide

SPACE: dict[str, dict[str, list[Any]]] = {
    "bilateral": {
        "window": [9, 5, 7, 11, 15],
        "colour": [3.0, 1.5, 2.0, 2.5, 4.0, 5.0, 6.0, 8.0],
        "spatial_px": [1.5, 0.75, 1.0, 1.25, 2.0, 3.0, 4.0],
    },
    "nlm": {
        "patch": [5, 3, 7, 9],
        "h": [0.7, 0.4, 0.5, 0.6, 0.8, 0.9, 1.0],
        "sigma": [1.0, 0.0, 0.7, 0.85, 0.95, 1.05, 1.1, 1.2],
        "distance": [6, 3, 4, 5, 8, 11],
    },
    "tv": {"weight": [0.9, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.1, 1.25, 1.5], "steps": [100, 25, 50, 200]},
    "wavelet": {
        "shrinkage": ["BayesShrink", "VisuShrink"],
        "mode": ["soft", "hard"],
        "sigma": [1.0, 0.3, 0.4, 0.5, 0.6, 0.8, 1.2, 1.5],
        "name": ["db2", "haar", "sym4", "sym8", "bior2.2", "bior4.4", "coif2"],
        "levels": [None, 3, 4, 5],
        "shifts": [1, 0, 3],
    },
    "curvature_flow": {"time": [1.0, 0.25, 0.5, 0.75, 1.25, 1.5, 2.0, 2.5, 3.0]},
    "anisotropic_diffusion": {
        "time": [2.0, 0.25, 0.5, 1.0, 1.5, 3.0, 4.0, 6.0],
        "conductance": [3.0, 1.0, 1.5, 2.0, 4.0, 6.0, 9.0],
    },
    "patch_based": {
        "iterations": [10, 5, 20],
        "bandwidth": [3.0, 1.0, 2.0, 6.0, 12.0],
        "radius": [2, 1, 3],
        "samples": [50],
        "spread_px": [6.0, 3.0, 10.0],
    },
}
"""Values to try, the first one to start with."""


def slices_of(path: str, count: int, side: int | None) -> list[tuple[int, np.ndarray]]:
    """Return evenly spaced slices inside the volume, clipped to the window, whole or their middle."""
    hu = Volume.read(path).hu
    chosen = np.linspace(0, len(hu) - 1, count + 2).round().astype(int)[1:-1]
    cut = [slice(None) if side is None else slice((n - side) // 2, (n + side) // 2) for n in hu.shape[1:]]
    return [(int(z), np.clip(hu[z][tuple(cut)].astype(np.float32), -1000, 1000)) for z in chosen]


def score(name: str, settings: dict[str, Any], slices: list[tuple[int, np.ndarray]], noise_hu: float) -> np.ndarray:
    """Return PSNR in dB, SSIM and seconds a slice."""
    rows = []
    for z, clean in slices:
        noise = np.random.default_rng([0, z]).standard_normal(clean.shape).astype(np.float32)
        started = time.perf_counter()
        found = getattr(filters, name)(clean + noise_hu * noise, noise_hu, **settings)
        seconds = time.perf_counter() - started
        found = np.clip(found, -1000, 1000)
        rows.append((psnr(found, clean, 2000.0), ssim(found + 1000, clean + 1000, 2000.0), seconds))
    return np.mean(rows, axis=0)


def tune(name: str, slices: list[tuple[int, np.ndarray]], noise_hu: float) -> tuple[dict[str, Any], np.ndarray, int]:
    """Return the best settings, their scores, and how many settings were tried."""
    best = {key: values[0] for key, values in SPACE[name].items()}
    tried = {json.dumps(best): score(name, best, slices, noise_hu)}
    moved = True
    while moved:
        moved = False
        for key, values in SPACE[name].items():
            for value in values:
                settings = {**best, key: value}
                code = json.dumps(settings)
                if code in tried:
                    continue
                tried[code] = score(name, settings, slices, noise_hu)
                if tried[code][0] > tried[json.dumps(best)][0]:
                    best, moved = settings, True
    return best, tried[json.dumps(best)], len(tried)


def main() -> None:
    """Tune and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("volume")
    parser.add_argument("--methods", default=",".join(SPACE))
    parser.add_argument("--slices", type=int, default=3)
    arguments = parser.parse_args()
    print("| filter | noise HU | PSNR dB | SSIM | s a slice | settings tried | best |\n|---|---|---|---|---|---|---|")
    for name in arguments.methods.split(","):
        slices = slices_of(arguments.volume, arguments.slices, CENTRE.get(name))
        for noise_hu in NOISE_HU:
            best, (db, similarity, seconds), tried = tune(name, slices, noise_hu)
            print(
                f"| {name} | {noise_hu:g} | {db:.2f} | {similarity:.4f} | {seconds:.2f} | {tried} | {best} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
