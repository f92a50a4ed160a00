"""Measure synthesis: seconds by phase, peak memory, token-passes against the published schedule; two tables.

    python benchmarks/synthesis.py --slices 201 1024              # each length in a process of its own, for its peak
    python benchmarks/synthesis.py --table steps --seeds 0 1      # distance to the 250-step result against cost
    python benchmarks/synthesis.py --table schedules --train ../shared/data/ct/train
    python benchmarks/synthesis.py --model xl --device cuda --batch-size 32   # two DiT-XL/2, a codec like SD's, random

Prints one JSON object; the tables as Markdown before it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ctgrid.base.devices import choose_device
from ctgrid.base.machine import peak_memory_mib
from ctgrid.base.precision import autocast, choose_dtype
from ctgrid.methods.pipeline import prepare
from ctgrid.methods.synthesis.pipeline import SynthesisPipeline
from ctgrid.methods.synthesis.settings import Settings
from ctgrid.metrics import frechet_distance, psnr, seam_ratio, slice_steps
from ctgrid.runs.synthesis.series import Series, Target
from ctgrid.stages.cells import decode_cells, refine, sample_cells, tokens
from ctgrid.stages.codecs.codecs import Codec
from ctgrid.stages.models.bundle import Bundle
from ctgrid.stages.models.facts import StageFacts

HU = 1000.0


def published_passes(slices: int, steps: int = 250, k: int = 4, per_call: int = 1024) -> dict[str, Any]:
    """Count token-passes of the published schedule from its description; its code doubles every batch for guidance.

    Algorithm 1 with r = K - 1 makes one row a pass, K in the first; Algorithm 2 fills K - 2 rows between every two
    rows: R rows become K R + K (K - 2) (R - 1) slices. Every grid and, in stage 2, every slice takes ``steps`` calls
    of a DiT-XL/2 on a 64 x 64 latent: 1024 tokens. The first grid's rows all count, which is in its favour.
    """
    rows = -(-(slices + k * (k - 2)) // (k + k * (k - 2)))
    grids = (1 + max(0, rows - k)) + (rows - 1)
    calls = (grids + slices) * steps
    return {
        "rows": rows,
        "grids": grids,
        "calls": calls,
        "token_passes": calls * per_call,
        "guided": 2 * calls * per_call,
    }


def load(model: str, device: str, dtype: str, compile: bool) -> SynthesisPipeline:
    """Load a model by name; ``xl`` is the paper's size with random weights."""
    if model != "xl":
        return SynthesisPipeline.load(model, device, dtype, compile)
    from diffusers import AutoencoderKL

    from ctgrid.stages.networks.dit import build_dit

    place = choose_device(device)
    precision = choose_dtype(dtype, place)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    with torch.device(place):
        network = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, **blocks
        )
        stages = [build_dit("XL/2", latent_size=64), build_dit("XL/2", cells_per_side=1, condition_channels=4)]
    facts = StageFacts()
    bundle = Bundle(
        "xl", Path(), Codec(network, "random"), *(s.eval().requires_grad_(False) for s in stages), facts, facts
    )
    prepare(bundle, place, precision, compile)
    return SynthesisPipeline(bundle, place, precision)


def measure(pipeline: SynthesisPipeline, settings: Settings, count: int) -> dict[str, Any]:
    """Make volumes as the command does, streamed to a file that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        targets = [Target(i, i, Path(folder) / f"{i}.nii.gz", Path(folder) / f"{i}.png") for i in range(count)]
        resolved = pipeline.resolve(settings)
        started = time.perf_counter()
        work = Series(targets).make(pipeline, targets, resolved, "", lambda made: None)
        seconds = time.perf_counter() - started
    published = published_passes(settings.slices)
    return {
        "slices": settings.slices,
        "volumes": count,
        "seconds": round(seconds, 2),
        "phases": {name: round(s, 2) for name, s in work.phases.items()},
        "dit_token_passes": work.dit_token_passes,
        "calls": round(work.dit_token_passes / tokens(pipeline.bundle.stage1)),
        "published": published,
        "published_over_ours": round(count * published["token_passes"] / work.dit_token_passes, 1),
        "published_calls_over_ours": round(
            count * published["calls"] * tokens(pipeline.bundle.stage1) / work.dit_token_passes, 1
        ),
        "peak_memory_mib": peak_memory_mib(),
    }


def coarse_of(pipeline: SynthesisPipeline, settings: Settings, seeds: list[int], passes: int | None = None) -> Any:
    """Sample and decode coarse slices (V * N, 1, s, s) in [-1, 1]; seconds and token-passes."""
    settings = settings.resolved(pipeline.bundle)
    plan = settings.plan(pipeline.bundle.facts1.k)[:passes]
    started = time.perf_counter()
    with torch.no_grad(), autocast(pipeline.device, pipeline.dtype):
        cells, spent = sample_cells(
            pipeline.bundle,
            plan,
            settings.slices,
            seeds=seeds,
            filling=settings.filling,
            batch_size=settings.batch_size,
            **settings.sampling,
        )
        seconds = time.perf_counter() - started
        images = torch.cat([decode_cells(pipeline.bundle, each, settings.batch_size) for each in cells])
    return images, seconds, spent


def steps_table(pipeline: SynthesisPipeline, seeds: list[int], many: int, few: list[int], shown: int) -> list[Any]:
    """Distance (PSNR over 2000 HU) to the many-step result of the same noise, for samplers and step counts.

    Stage 1: one grid. Stage 2: ``shown`` slices of the many-step grid, so that stage 1 plays no part.
    """
    bundle = pipeline.bundle
    alone = {"slices": bundle.facts1.k**2, "batch_size": 4}
    end, _, _ = coarse_of(pipeline, Settings(steps=many, **alone), seeds)
    chosen = end[:: max(1, len(end) // shown)][:shown]

    def fine(**options: Any) -> tuple[torch.Tensor, float, int]:
        started = time.perf_counter()
        with torch.no_grad(), autocast(pipeline.device, pipeline.dtype):
            parts = [refine(bundle, part, seed=0, **options) for part in chosen.split(4)]
        return torch.cat([p for p, _ in parts]), time.perf_counter() - started, sum(n for _, n in parts)

    def distance(one: torch.Tensor, other: torch.Tensor) -> float:
        return round(psnr(one.numpy() * HU, other.numpy() * HU, 2 * HU), 2)

    fine_end, _, _ = fine(steps=many)
    rows: list[Any] = []
    kinds = [
        ("dpm++", "snr"),
        ("dpm++", "karras"),
        ("dpm++", "even"),
        ("ddim", "even"),
        ("ddim", "trailing"),
        ("ddpm", "even"),
    ]
    for sampler, spacing in kinds:
        for steps in few:
            options: dict[str, Any] = {"sampler": sampler, "spacing": spacing, "steps": steps}
            coarse, seconds, spent = coarse_of(pipeline, Settings(**alone, **options), seeds)
            row = {**options, "coarse_db": distance(coarse, end), "coarse_s": round(seconds, 2), "coarse_passes": spent}
            made, seconds, spent = fine(**options)
            row |= {"refined_db": distance(made, fine_end), "refined_s": round(seconds, 2), "refined_passes": spent}
            rows.append(row)
    return rows


def schedules_table(pipeline: SynthesisPipeline, slices: int, seeds: list[int], train: Path | None) -> list[Any]:
    """Slice steps, seams, error along z, distances to training volumes and cost of every schedule, on coarse slices."""
    from ctgrid.runs.evaluation.fidelity.features import EmbeddedFeatures

    k = pipeline.bundle.facts1.k
    features = EmbeddedFeatures()
    kinds: dict[str, dict[str, Any]] = {f"autoregressive r={r}": {"control_rows": r} for r in sorted({1, k - 1})}
    kinds |= {f"{name}, interpolated": {**o, "interpolate": True} for name, o in list(kinds.items())}
    if pipeline.bundle.stage1.absolute_z:
        kinds = {"hierarchical": {"schedule": "hierarchical"}, **kinds}
    known = training_slices(pipeline, train) if train else None
    real = described(features, training_volumes(pipeline, train, slices)) if train else None
    rows: list[Any] = []
    for name, options in kinds.items():
        settings = Settings(slices, **options).resolved(pipeline.bundle)
        images, seconds, spent = coarse_of(pipeline, settings, seeds)
        hu = (images[:, 0].numpy() * HU).reshape(len(seeds), slices, *images.shape[2:])
        steps = np.concatenate([slice_steps(volume) for volume in hu])
        joints = joints_of(settings, k)
        row: dict[str, Any] = {
            "schedule": name,
            "grids": sum(len(windows) for windows in settings.plan(k)),
            "token_passes": spent // len(seeds),
            "seconds": round(seconds / len(seeds), 2),
            "step_median_hu": round(float(np.median(steps)), 2),
            "step_max_hu": round(float(steps.max()), 2),
            "seam": round(float(np.mean([seam_ratio(v, joints) for v in hu])), 3) if joints else None,
        }
        if known is not None:
            row["z_error_mm"] = round(float(np.mean([z_error(v, *known) for v in hu])), 1)
        if real is not None:
            made = described(features, list(hu))
            row |= {name: round(frechet_distance(real[name], made[name]), 3) for name in real}
        rows.append(row)
    return rows


def described(features: Any, volumes: list[np.ndarray], clip: int = 16) -> dict[str, np.ndarray]:
    """Return ctgrid-features of all slices, and of all clips that begin at every fourth slice."""
    slices, clips = [], []
    for hu in volumes:
        slices.append(features.slices(hu))
        starts = np.arange(0, max(1, len(hu) - clip + 1), 4)
        clips.append(features.clips(hu, starts[:, None] + np.arange(min(clip, len(hu)))))
    return {"fd_slices": np.concatenate(slices), f"fd_clips_{clip}": np.concatenate(clips)}


def training_volumes(pipeline: SynthesisPipeline, folder: Path, slices: int, side: int = 128) -> list[np.ndarray]:
    """Return training volumes in the model's frame, resampled along z: (slices, side, side) in HU."""
    from torch.nn.functional import interpolate

    from ctgrid.data.framing import frame
    from ctgrid.data.volumes import load_folder

    fov = pipeline.bundle.facts1.fov_mm or 340.0
    framed = [frame(volume, fov, side)[None, None] for volume in load_folder(folder, side)]
    return [interpolate(v, size=(slices, side, side), mode="trilinear")[0, 0].numpy() * HU for v in framed]


def joints_of(settings: Settings, k: int) -> list[int]:
    """Steps between slices that different grids made: beside keyframes, or at the borders of the grids' new rows."""
    made = np.zeros(settings.slices, dtype=int)
    number = 0
    for windows in settings.plan(k):
        for window in windows:
            number += 1
            new = window.target[(window.target >= 0) & (window.target < settings.slices) & ~window.known]
            made[new] = number
    joints = np.flatnonzero(np.diff(made)).tolist()
    return joints if 0 < len(joints) < settings.slices - 1 else []


def training_slices(pipeline: SynthesisPipeline, folder: Path, side: int = 32) -> tuple[np.ndarray, np.ndarray, float]:
    """Return training slices (n, side²) in HU, their z as a share of their volume, and the extent of one in mm."""
    from ctgrid.data.framing import frame
    from ctgrid.data.volumes import load_folder

    facts = pipeline.bundle.facts1
    pictures, places = [], []
    for volume in load_folder(folder, 128):
        framed = frame(volume, facts.fov_mm or 340.0, side).numpy()
        pictures.append(framed.reshape(len(framed), -1) * HU)
        places.append((np.arange(len(framed)) + 0.5) / len(framed))
    return np.concatenate(pictures), np.concatenate(places), facts.extent_mm or 300.0


def z_error(hu: np.ndarray, pictures: np.ndarray, places: np.ndarray, extent_mm: float) -> float:
    """Mean distance in mm between where a slice lies and where its nearest training slice lay in its volume."""
    from torch.nn.functional import interpolate

    side = round(pictures.shape[1] ** 0.5)
    small = interpolate(torch.from_numpy(hu)[:, None].float(), size=side, mode="bicubic", antialias=True).flatten(1)
    nearest = torch.cdist(small, torch.from_numpy(pictures).float()).argmin(dim=1).numpy()
    own = (np.arange(len(hu)) + 0.5) / len(hu)
    return float(np.abs(places[nearest] - own).mean() * extent_mm)


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return rows as a Markdown table."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([str(row[name]) for name in names] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded", help="as ctgrid synthesize takes it, or xl")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--slices", type=int, nargs="*", default=[201])
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--refine-steps", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--warm", action="store_true", help="make one grid and one batch before the clock starts")
    parser.add_argument("--table", choices=["steps", "schedules"])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--train", type=Path)
    parser.add_argument("--reference-steps", type=int, default=250)
    parser.add_argument("--few", type=int, nargs="*", default=[1, 2, 4, 8, 12, 20, 50])
    parser.add_argument("--shown", type=int, default=8, help="slices that the steps table refines")
    arguments = parser.parse_args()
    if len(arguments.slices) > 1 and arguments.table is None:
        rest = [word for word in sys.argv[1:] if word != "--slices" and word not in map(str, arguments.slices)]
        for slices in arguments.slices:
            subprocess.run([sys.executable, __file__, *rest, "--slices", str(slices)], check=True)
        return
    started = time.perf_counter()
    pipeline = load(arguments.model, arguments.device, arguments.dtype, arguments.compile)
    result: dict[str, Any] = {"model": arguments.model, "device": str(pipeline.device), "dtype": str(pipeline.dtype)}
    result["load_s"] = round(time.perf_counter() - started, 2)
    if arguments.table == "steps":
        rows = steps_table(pipeline, arguments.seeds, arguments.reference_steps, arguments.few, arguments.shown)
    elif arguments.table == "schedules":
        rows = schedules_table(pipeline, arguments.slices[0], arguments.seeds, arguments.train)
    else:
        settings = Settings(
            arguments.slices[0],
            arguments.steps,
            arguments.refine_steps,
            batch_size=arguments.batch_size,
            size=pipeline.bundle.facts2.size,
        )
        if arguments.warm:
            pipeline.generate(arguments.batch_size, 0, 1, 1, size=settings.size, batch_size=arguments.batch_size)
        result |= measure(pipeline, settings, arguments.count)
        rows = []
    if rows:
        print(markdown(rows))
    print(json.dumps({**result, "rows": rows} if rows else result))


if __name__ == "__main__":
    main()
