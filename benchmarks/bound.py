"""The highest PSNR that any method can have against a reference that carries noise of its own.

    python benchmarks/bound.py DATA/test/lidc0028.nii.gz --slices 10,70,130 --out runs/edges
    python benchmarks/bound.py SCAN --slices 20,45,70 --out runs/edges --model my-model

The reference is r = x + n0, the noisy scan r + n1. Of r a method that knew the anatomy x perfectly would still have
to guess n0 from n0 + n1; for Gaussian noise of spectra S0, S1 the best guess is Wiener's, whose error is the mean
over frequencies of S0 S1 / (S0 + S1). S1 is measured from the noise that was added. S0 is taken in two ways:
`simulated`, the noise of the full dose as the simulation fits it to the scan; `differences`, from what differs
between neighbouring slices in even soft tissue. Strengths are those of each region, shapes of spectra those of soft
tissue. In air, where values end at -1000 HU, half of the noise is cut off. Anatomy is never known, so what can be
reached lies lower.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scanner_noise import DOSES, noisy_slices

from ctgrid.data.simulate.dose import fit_settings, make_noise
from ctgrid.data.simulate.projector import scanner_for
from ctgrid.methods.denoising.methods import load_method
from ctgrid.metrics.reconstruction import psnr
from ctgrid.metrics.regions import body_mask, lung_mask
from ctgrid.runs.evaluation.noise import clipped
from ctgrid.scan.noise import estimate_noise
from ctgrid.scan.own_noise import measure_own_noise
from ctgrid.scan.volume import Volume

PATCH, CUT_OFF = 48, 0.5 - 0.5 / np.pi
"""Pixels along a patch that a spectrum is measured in; variance of the half of Gaussian noise that is above 0."""


def regions(
    clean: np.ndarray, spacing: tuple[float, float, float], whole: np.ndarray, wanted: list[int]
) -> dict[str, np.ndarray]:
    """Return masks (n, y, x) that share out the slices."""
    body = body_mask(clean)
    lungs = lung_mask(whole, spacing)[wanted]
    soft = body & ~lungs & (clean > -200) & (clean < 200)
    bone = body & ~lungs & (clean >= 200)
    return {"air": ~body, "lung": lungs, "soft": soft, "bone": bone, "other": body & ~lungs & ~soft & ~bone}


def spectrum(noise: np.ndarray, soft: np.ndarray) -> np.ndarray:
    """Return the power (PATCH, PATCH) of noise in soft tissue, of mean 1."""
    total = np.zeros((PATCH, PATCH))
    taper = np.outer(np.hanning(PATCH + 2)[1:-1], np.hanning(PATCH + 2)[1:-1])
    for plane, mask in zip(noise, soft, strict=True):
        for y in range(0, plane.shape[0] - PATCH, PATCH // 2):
            for x in range(0, plane.shape[1] - PATCH, PATCH // 2):
                if mask[y : y + PATCH, x : x + PATCH].mean() > 0.9:
                    part = plane[y : y + PATCH, x : x + PATCH]
                    total += np.abs(np.fft.fft2((part - part.mean()) * taper)) ** 2
    return total / total.mean()


def least_error(own: float, own_shape: np.ndarray, added: float, added_shape: np.ndarray) -> float:
    """Return the mean square error of the best guess of the reference's noise, HU²."""
    s0, s1 = own**2 * own_shape, added**2 * added_shape
    return float((s0 * s1 / np.maximum(s0 + s1, 1e-9)).mean())


def local_levels(own: Any, wanted: list[int], shape: tuple[int, int]) -> np.ndarray:
    """Return the noise of slices as :class:`OwnNoise` has it, (n, y, x)."""
    import torch

    box = slice(0, shape[0]), slice(0, shape[1])
    at = torch.tensor(wanted)
    return np.asarray((own._local(at, box) * torch.from_numpy(own.levels[wanted])[:, None, None]).numpy())


def main() -> None:
    """Print the bound of every dose and kernel, and what the method reaches."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--slices", required=True, help="numbers from the feet, with commas")
    parser.add_argument("--out", type=Path, required=True, help="where the noise is kept, shared with edges.py")
    parser.add_argument("--noise-slices", help="where the kept noise is of more slices than those")
    parser.add_argument("--model", default="embedded")
    given = parser.parse_args()
    name = given.scan.name.split(".")[0]
    chosen = [int(text) for text in given.slices.split(",")]
    made = [int(text) for text in (given.noise_slices or given.slices).split(",")]
    slices = noisy_slices(given.scan, made, given.out / f"noise-{name}.npz", DOSES)
    where = [slices.wanted[sorted(made).index(z)] for z in sorted(chosen)]
    volume = clipped(Volume.read(given.scan).reoriented("LPS"))
    clean = slices.clean[where].astype(np.float64)
    masks = regions(clean, volume.spacing_mm, volume.hu, sorted(chosen))

    scanner = scanner_for(volume.shape[1:], volume.spacing_mm[1:], "fan")
    fitted = fit_settings(volume, scanner, 0.25, None, 10.0, None, "insert")
    simulated = make_noise(slices.clean[where].astype(np.float32), scanner, fitted, 1, chosen, full_dose=True)
    level = estimate_noise(volume)
    own = measure_own_noise(volume.hu, volume.spacing_mm[1:], np.full(len(volume.hu), level))
    places = local_levels(own, sorted(chosen), clean.shape[1:])
    of_own = {
        "simulated": (spectrum(simulated, masks["soft"]), {k: float(simulated[m].std()) for k, m in masks.items()}),
        "differences": (
            own.spectrum((PATCH, PATCH)),
            {k: float(np.sqrt(np.square(places[m]).mean())) for k, m in masks.items()},
        ),
    }
    print(
        f"{name}: noise {level:.1f} HU; "
        + "; ".join(
            f"{way}: " + ", ".join(f"{k} {v:.1f}" for k, v in levels.items()) for way, (_, levels) in of_own.items()
        )
    )
    print(
        "| noise | noisy | bound, simulated | bound, differences | reached | RMSE bound/reached: "
        + ", ".join(masks)
        + " |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    denoiser: Any = load_method("detail", model=given.model)
    for (dose, kernel), noise in slices.noise.items():
        shape = spectrum(noise[where], masks["soft"])
        noisy = Volume(slices.clean + np.rint(noise).astype(np.int16), slices.affine)
        found = np.clip(denoiser.run(noisy, "auto", only=where).volume.hu[where].astype(np.float64), -1000, 1000)
        bounds, floors = [], {}
        for own_shape, levels in of_own.values():
            error = np.zeros(len(where))
            for region, mask in masks.items():
                added = float(noise[where][mask].std())
                least = least_error(levels[region], own_shape, added, shape)
                least *= CUT_OFF if region == "air" else 1
                floors.setdefault(region, []).append(np.sqrt(least))
                error += least * mask.mean((1, 2))
            bounds.append(float(np.mean(10 * np.log10(2000**2 / error))))
        reached, before = (
            np.mean([psnr(a, b, 2000) for a, b in zip(part, clean, strict=True)])
            for part in (found, np.clip(noisy.hu[where].astype(np.float64), -1000, 1000))
        )
        parts = ", ".join(
            f"{max(floors[k]):.1f}/{np.sqrt(np.square((found - clean)[m]).mean()):.1f}" for k, m in masks.items()
        )
        print(
            f"| {dose:g}, {kernel} | {before:.2f} | {bounds[0]:.2f} | {bounds[1]:.2f} | {reached:.2f} | {parts} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
