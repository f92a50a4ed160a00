"""Edge response of pairs of kernels: rods planted in soft tissue, noise added, denoised; width, TTF, contrast, means.

    python benchmarks/edges.py DATA/test/lidc0028.nii.gz --slices 10,40,70,100,130 --out runs/edges
    python benchmarks/edges.py SCAN --slices 20,45,70 --out runs/edges --model my-model   # other weights; noise is kept

Rods of 12 mm and of :data:`CONTRASTS_HU` stand in the evenest places of soft tissue, their edges blurred as the kernel
would (half of the contrast at half the frequency where its window ends). Anatomy keeps the edges of the scan itself.
Prints a Markdown table and writes `NAME.json` and `NAME.png`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scanner_noise import KERNELS_PER_MM, NoisySlices, noisy_slices
from scipy import ndimage
from scipy.special import ndtr

from ctgrid.base.draws import generator_for, integer
from ctgrid.methods.denoising.methods import load_method
from ctgrid.metrics.edge_response import EdgeResponse, edge_response
from ctgrid.runs.evaluation.plots import new_figure
from ctgrid.scan.volume import Volume

RADIUS_MM, ROOM_MM, APART_MM = 6.0, 10.5, 22.0
CONTRASTS_HU = (-100.0, 50.0, 100.0, 200.0)
"""Fat in muscle, and enhanced vessels; they take turns."""

MOST_RODS, SEED = 8, 0
HALF_AT = 0.1874
"""A Gaussian of this over f, in mm, has lost half at f per mm."""

ROUGH_PX = 11
"""Pixels along the square whose mean is taken off before a standard deviation is measured, as in a small region."""

TISSUES_HU = {"fat": (-130.0, -60.0), "soft": (20.0, 90.0)}


def places(clean: np.ndarray, spacing: tuple[float, float], seed: int) -> list[tuple[float, float]]:
    """Return centres (y, x) in pixels of the evenest soft tissue of a slice, apart from each other, between pixels."""
    reach = [round(ROOM_MM / mm) for mm in spacing]
    at = [np.arange(-n, n + 1) * mm for n, mm in zip(reach, spacing, strict=True)]
    disc = np.hypot(at[0][:, None], at[1]) <= ROOM_MM
    image = ndimage.gaussian_filter(clean.astype(np.float32), 1.5)
    small = image[::4, ::4]
    least, most = (
        function(small, footprint=disc[::4, ::4]) for function in (ndimage.minimum_filter, ndimage.maximum_filter)
    )
    uneven = np.where((least > -60) & (most < 160), most - least, np.inf)
    chosen: list[tuple[float, float]] = []
    generator = generator_for(SEED, 909, seed)
    for place in np.argsort(uneven, axis=None):
        y, x = (4 * int(i) for i in np.unravel_index(place, uneven.shape))
        if not np.isfinite(uneven.flat[place]) or len(chosen) == MOST_RODS:
            break
        if all(np.hypot((y - a) * spacing[0], (x - b) * spacing[1]) >= APART_MM for a, b in chosen):
            shift = [integer(0, 1000, generator) / 1000 - 0.5 for _ in range(2)]
            chosen.append((y + shift[0], x + shift[1]))
    return chosen


def distances(shape: tuple[int, int], centre: tuple[float, float], spacing: tuple[float, float]) -> np.ndarray:
    """Return the distance of the pixels of a slice from a rod's edge, (y, x) in mm."""
    along = [(np.arange(n) - c) * mm for n, c, mm in zip(shape, centre, spacing, strict=True)]
    return np.hypot(along[0][:, None], along[1]) - RADIUS_MM


def away_from(centres: list[tuple[float, float]], slices: NoisySlices) -> np.ndarray:
    """Return where a slice holds no rod, nor any nearby, (y, x) bool."""
    shape = slices.clean.shape[1:]
    found = [distances(shape, centre, slices.spacing_mm[1:]) > ROOM_MM - RADIUS_MM for centre in centres]
    return np.logical_and.reduce(found) if found else np.ones(shape, bool)


def measure(slices: NoisySlices, rods: dict[int, list[tuple[float, float]]], found: np.ndarray, contrast: float | None):
    """Return the edge response over all rods, or those of one contrast, of slices (n, y, x) less the clean scan."""
    away, added, wanted = [], [], []
    number = 0
    for z, centres in rods.items():
        for centre in centres:
            own = CONTRASTS_HU[number % len(CONTRASTS_HU)]
            number += 1
            if contrast is not None and own != contrast:
                continue
            distance = distances(found.shape[1:], centre, slices.spacing_mm[1:])
            near = np.abs(distance) < 5
            away.append(distance[near])
            added.append((found[z] - slices.clean[z])[near])
            wanted.append(np.full(int(near.sum()), own))
    return edge_response(np.concatenate(away), np.concatenate(added), np.concatenate(wanted)) if away else None


def planted(slices: NoisySlices, rods: dict[int, list[tuple[float, float]]], blur_mm: float) -> np.ndarray:
    """Return the clean slices with rods through each and its neighbours, (n, y, x) float32."""
    hu = slices.clean.astype(np.float32)
    number = 0
    for z, centres in rods.items():
        for centre in centres:
            edge = ndtr(-distances(hu.shape[1:], centre, slices.spacing_mm[1:]) / blur_mm)
            hu[max(0, z - 1) : z + 2] += (CONTRASTS_HU[number % len(CONTRASTS_HU)] * edge).astype(np.float32)
            number += 1
    return hu


def tissues(clean: np.ndarray) -> dict[str, np.ndarray]:
    """Return the evener half of fat and soft tissue, (n, y, x) bool."""
    even = ndimage.uniform_filter(clean, (0, 5, 5))
    range_hu = ndimage.maximum_filter(clean, (1, 7, 7)) - ndimage.minimum_filter(clean, (1, 7, 7))
    masks = {name: (even > low) & (even < high) for name, (low, high) in TISSUES_HU.items()}
    return {name: mask & (range_hu < np.quantile(range_hu[mask], 0.5)) for name, mask in masks.items()}


def figures(found: EdgeResponse | None) -> dict[str, float | None]:
    """Return an edge's numbers, rounded."""
    if found is None:
        return dict.fromkeys(("width_mm", "f50_per_mm", "contrast"))
    return {
        "width_mm": round(found.width_mm, 2),
        "f50_per_mm": round(found.f50_per_mm, 3) if np.isfinite(found.f50_per_mm) else None,
        "contrast": round(found.contrast, 3),
    }


def main() -> None:
    """Measure one scan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--slices", required=True, help="numbers from the feet, with commas")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--method", default="detail")
    parser.add_argument("--doses", default="0.25,0.1")
    given = parser.parse_args()
    name = given.scan.name.split(".")[0]
    given.out.mkdir(parents=True, exist_ok=True)
    doses = [float(text) for text in given.doses.split(",")]
    slices = noisy_slices(
        given.scan, [int(text) for text in given.slices.split(",")], given.out / f"noise-{name}.npz", doses
    )
    denoiser: Any = load_method(given.method, model=given.model)
    rods = {z: places(slices.clean[z], slices.spacing_mm[1:], z) for z in slices.wanted}
    masks = tissues(slices.clean[slices.wanted].astype(np.float32))
    free = np.stack([away_from(rods[z], slices) for z in slices.wanted])
    masks = {tissue: mask & free for tissue, mask in masks.items()}
    print(f"{name}: {sum(map(len, rods.values()))} rods of {2 * RADIUS_MM:g} mm")
    rows, profiles = [], {}
    for dose in doses:
        for kernel, cutoff in KERNELS_PER_MM.items():
            clean = planted(slices, rods, 2 * HALF_AT / cutoff)
            noisy = np.rint(clean + slices.noise[dose, kernel]).astype(np.int16)
            answer = denoiser.run(Volume(noisy, slices.affine), "auto", only=slices.wanted)
            stages = {
                "clean": clean,
                "noisy": noisy.astype(np.float32),
                "denoised": answer.volume.hu.astype(np.float32),
            }
            for stage, hu in stages.items():
                row: dict[str, Any] = {"volume": name, "dose": dose, "kernel": kernel, "stage": stage}
                row |= figures(measure(slices, rods, hu, None))
                row["by_contrast"] = {f"{c:g}": figures(measure(slices, rods, hu, c)) for c in CONTRASTS_HU}
                off = (hu - clean)[slices.wanted]
                for tissue, mask in masks.items():
                    own = off[mask]
                    rough = (hu - ndimage.uniform_filter(hu, (0, ROUGH_PX, ROUGH_PX)))[slices.wanted][mask]
                    row[f"{tissue}_sd_hu"] = round(float(rough.std()), 1)
                    row[tissue] = {"noise_hu": round(float(own.std()), 1), "mean_hu": round(float(own.mean()), 2)}
                rows.append(row)
                profiles[dose, kernel, stage] = measure(slices, rods, hu, None)
                print(json.dumps(row), flush=True)
    (given.out / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(table(rows))
    draw(profiles, doses[-1], given.out / f"{name}.png")


def table(rows: list[dict[str, Any]]) -> str:
    """Return one line for each dose and kernel: clean / noisy / denoised."""
    lines = [
        "| scan | dose | kernel | width mm | f50 per mm | contrast | SD of fat | of soft tissue | mean of both after |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for clean, noisy, answer in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
        edges = [
            " / ".join(f"{row[key]}" for row in (clean, noisy, answer))
            for key in ("width_mm", "f50_per_mm", "contrast")
        ]
        rough = [" / ".join(f"{row[f'{t}_sd_hu']}" for row in (clean, noisy, answer)) for t in TISSUES_HU]
        means = ", ".join(f"{answer[t]['mean_hu']:+.2f}" for t in TISSUES_HU)
        lines.append(
            f"| `{clean['volume']}` | {clean['dose']:g} | {clean['kernel']} | {' | '.join(edges)} | "
            f"{' | '.join(rough)} | {means} |"
        )
    return "\n".join(lines)


def draw(profiles: dict[tuple[float, str, str], EdgeResponse | None], dose: float, path: Path) -> None:
    """Draw the edge-spread functions at one dose, a panel for each kernel."""
    figure = new_figure(9, 3)
    for number, kernel in enumerate(KERNELS_PER_MM):
        axis = figure.add_subplot(1, 3, number + 1)
        for stage, style in (("noisy", "C7."), ("clean", "k-"), ("denoised", "C0o")):
            found = profiles[dose, kernel, stage]
            if found is not None:
                axis.plot(found.distance_mm, found.spread, style, markersize=3, label=stage)
        axis.set_title(f"{kernel} kernel, {dose:g} of the dose", fontsize=9)
        axis.set_xlabel("mm from the edge", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
        if number == 0:
            axis.set_ylabel("share of the contrast", fontsize=8)
            axis.legend(fontsize=7)
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()
