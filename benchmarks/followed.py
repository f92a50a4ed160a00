"""Measure how near the keyframes and gaps of seeds come to the training volumes that they follow.

    python benchmarks/followed.py --latents runs/gaps/latents.safetensors --seeds 0 1 2 3 4 5 6 7
    python benchmarks/followed.py --latents runs/stage1/latents.safetensors --keyframes --seeds $(seq 0 31)

``latents.safetensors`` is what a stage 1 training run keeps of its volumes. A seed follows the volume whose keyframes
are nearest to its own. Errors are those of decoded coarse slices (root of the mean square in HU, where blocks are
mostly soft tissue, show bone, or are half lung) and of latents (mean square; of keyframes over their variance); the
correlation is that of the spine's brightness along z. Gaps are filled between the seed's own keyframes, between the
volume's, and between the seed's with mending. Prints a JSON object for each seed, and their medians.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ctgrid.base.draws import generator_for
from ctgrid.methods.synthesis.pipeline import SynthesisPipeline
from ctgrid.methods.synthesis.settings import Settings
from ctgrid.scan.grid import from_grid, to_grid
from ctgrid.scan.protocols.resample import SCALE_HU
from ctgrid.stages.cells import COARSE, decode_cells, sample_cells, z_of
from ctgrid.stages.diffusion.known import Known, cells_mask
from ctgrid.stages.diffusion.sampling import sample
from ctgrid.stages.models.bundle import Bundle
from ctgrid.stages.networks.stacked import on_grids
from ctgrid.stages.schedules import PlannedGrid, SamplingPlan, hierarchical, plan_grids

TISSUES = {"soft": (-150, 250, 0.8), "bone": (250, 5000, 0.2), "lung": (-1000, -500, 0.5)}
"""HU from and to, and the share of an 8 x 8 block that counts it as that tissue."""

BLOCK = 8
SLOW_MM = 12.0
"""What is wider along z is no vertebra."""


def decoded(bundle: Bundle, cells: Tensor) -> Tensor:
    """Return coarse slices (n, s, s) in HU."""
    return decode_cells(bundle, cells, 64)[:, 0].clamp(-1, 1) * SCALE_HU


def off_by(made: Tensor, truth: Tensor) -> dict[str, float]:
    """Return the root of the mean square difference in HU by tissue of the truth, body or not."""
    error = avg_pool2d((made - truth).square()[:, None], BLOCK)
    result = {}
    for name, (low, high, share) in TISSUES.items():
        there = avg_pool2d(((truth >= low) & (truth < high)).float()[:, None], BLOCK) >= share
        result[name] = float(error[there].mean().sqrt())
    return result


def spine_place(hu: np.ndarray, mm: float, step_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Find the spine of a chest (slices, rows to the back, columns): (slices, rows), (columns,) to average."""
    wide = max(1, round(10 / mm))
    inside = hu.clip(-200, 600)
    behind = np.arange(hu.shape[1]) > hu.shape[1] * 0.55
    near = slice(hu.shape[2] * 2 // 5, hu.shape[2] * 3 // 5)
    bright = gaussian_filter(inside[:, behind].mean(axis=0), wide / 2)
    column = near.start + int(bright[:, near].max(axis=0).argmax())
    columns = np.arange(column - wide, column + wide + 1)
    smooth = gaussian_filter(inside[:, :, columns].mean(axis=2), (4 * SLOW_MM / step_mm, wide))
    row = np.where(behind, smooth, -np.inf).argmax(axis=1)
    return (row[:, None] + np.arange(-wide, wide + 1)).clip(0, hu.shape[1] - 1), columns


def spine_profile(hu: np.ndarray, place: tuple[np.ndarray, np.ndarray], step_mm: float) -> np.ndarray:
    """Return the spine's brightness along z less its slow part, HU."""
    rows, columns = place
    sagittal = hu[:, :, columns].clip(-200, 600).mean(axis=2)
    profile = np.take_along_axis(sagittal, rows, axis=1).mean(axis=1)
    return np.asarray(profile - gaussian_filter1d(profile, SLOW_MM / step_mm))


def filled(bundle: Bundle, windows: list[PlannedGrid], keyframes: Tensor, seed: int, way: Any) -> Tensor:
    """Fill the gaps between keyframes (slices, c, s, s, of which those that are known count), as synthesis does."""
    slices = len(keyframes)
    model, facts = bundle.filler(slices)
    k, side = round(len(windows[0].known) ** 0.5), keyframes.shape[-1]
    cells = keyframes.clone()
    streams = [generator_for(seed, COARSE, 1, number) for number in range(len(windows))]
    noise = torch.stack([torch.randn(model.in_channels, k * side, k * side, generator=one) for one in streams])
    values = torch.cat([keyframes[torch.from_numpy(np.maximum(window.target, 0))] for window in windows])
    known = torch.from_numpy(np.stack([window.known for window in windows]))
    position = torch.from_numpy(np.stack([window.position for window in windows]))
    grids = sample(
        on_grids(model, facts.layout, k),
        noise,
        generator=streams,
        known=Known(cells_mask(known, k, k * side), to_grid(values, k), facts.conditioning, k),
        z_index=z_of(position, slices, facts.slices),
        prediction=facts.prediction,
        **way,
    )
    for window, made in zip(windows, from_grid(grids, k).split(k * k), strict=True):
        new = (window.target >= 0) & ~window.known
        cells[torch.from_numpy(window.target[new])] = made[torch.from_numpy(new)]
    return cells


def beside(bundle: Bundle, made: Tensor, real: Tensor, between: np.ndarray) -> dict[str, float]:
    """Compare the cells of a volume with those of the one it follows, in the gaps between keyframes."""
    facts = bundle.facts1
    hu, truth = decoded(bundle, made), decoded(bundle, real)
    step_mm = (facts.extent_mm or 0.0) / len(truth)
    place = spine_place(truth.numpy(), (facts.fov_mm or 0.0) / truth.shape[1], step_mm)
    profiles = np.stack([spine_profile(volume.numpy(), place, step_mm) for volume in (hu, truth)])
    return {
        **off_by(hu[between], truth[between]),
        "latents": float((made - real)[between].square().mean()),
        "correlation": float(np.corrcoef(profiles)[0, 1]),
    }


def followed(pipeline: SynthesisPipeline, coarse: Tensor, seed: int, keyframes_alone: bool) -> dict[str, Any]:
    """Compare a seed with the nearest of training volumes (volumes, slices, c, s, s)."""
    bundle, slices = pipeline.bundle, coarse.shape[1]
    how = Settings(slices=slices).resolved(bundle)
    opening, windows = hierarchical(slices, bundle.facts1.k)
    index = torch.from_numpy(opening[0].target)
    between = np.setdiff1d(np.arange(slices), index.numpy())
    variance = float(coarse[:, index].var())

    def sampled(plan: SamplingPlan) -> Tensor:
        return sample_cells(bundle, plan, slices, seeds=[seed], filling=how.filling, **how.sampling)[0][0]

    made = sampled([opening])
    apart = (made[index] - coarse[:, index]).square().flatten(1).mean(1) / variance
    number = int(apart.argmin())
    real = coarse[number]
    keyframes = off_by(decoded(bundle, made[index]), decoded(bundle, real[index]))
    row = {"seed": seed, "volume": number, "keyframes": {**keyframes, "latents": float(apart[number])}}
    if keyframes_alone:
        return row
    parts = {
        "gaps": filled(bundle, windows, made, seed, how.filling),
        "gaps between the volume's keyframes": filled(bundle, windows, real, seed, how.filling),
        "gaps, mended": sampled(plan_grids("hierarchical", slices, bundle.facts1.k)),
    }
    return row | {name: beside(bundle, cells, real, between) for name, cells in parts.items()}


def main() -> None:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--latents", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(8)))
    parser.add_argument("--keyframes", action="store_true", help="keyframes alone")
    arguments = parser.parse_args()
    coarse = load_file(arguments.latents)["coarse"].float()
    pipeline = SynthesisPipeline.load(arguments.model)
    rows = []
    for seed in arguments.seeds:
        with torch.inference_mode():
            rows.append(followed(pipeline, coarse, seed, arguments.keyframes))
        print(json.dumps(rows[-1]), flush=True)
    parts = [name for name, value in rows[0].items() if isinstance(value, dict)]
    print(
        json.dumps(
            {
                part: {name: round(float(np.median([row[part][name] for row in rows])), 3) for name in rows[0][part]}
                for part in parts
            }
        )
    )


if __name__ == "__main__":
    main()
