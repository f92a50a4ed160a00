"""Measure the embedded model: codec ceiling on a scan, seams and slice steps of synthetic volumes.

    python benchmarks/embedded_model.py --scan ../shared/data/ct/test/lidc0028 \
        --train ../shared/data/ct/train --seeds 0 1 2

Prints one JSON object. The ceiling is the PSNR of encoding and decoding every slice, both clipped to
[-1000, 1000] HU (data range 2000). Synthetic volumes are made with the default settings.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import interpolate

from ctgrid.data.framing import frame
from ctgrid.data.volumes import load_folder
from ctgrid.methods.synthesis.pipeline import SynthesisPipeline
from ctgrid.metrics import psnr, seam_ratio, slice_steps
from ctgrid.scan.protocols.canonical import to_canonical
from ctgrid.scan.volume import Volume
from ctgrid.stages.models.bundle import load_bundle
from ctgrid.stages.schedules import hierarchical


def ceiling(model: str, scan: Path) -> dict[str, float]:
    """PSNR of the codec on a scan's slices at 512 and on its cells at 128 pixels."""
    codec = load_bundle(model).codec
    result = {}
    for size in (512, 128):
        unit, _ = to_canonical(Volume.read(scan), size=size)
        images = torch.from_numpy(unit)[:, None]
        with torch.no_grad():
            again = torch.cat([codec.decode(codec.encode(part)) for part in images.split(8)])
        result[f"psnr_{size}_db"] = round(psnr(again.numpy() * 1000, unit[:, None] * 1000, 2000.0), 2)
    return result


def synthetic(pipeline: SynthesisPipeline, seed: int, slices: int) -> dict[str, object]:
    """Time, seam and slice steps of one volume."""
    started = time.perf_counter()
    made = pipeline.generate(slices=slices, seed=seed)
    seconds = time.perf_counter() - started
    keyframes = np.array([t for t in hierarchical(slices)[0][0].target if 0 < t < slices - 1])
    steps = slice_steps(made.volume.hu)
    return {
        "seed": seed,
        "seconds": round(seconds, 1),
        "phases": made.phases,
        "seam_beside_keyframes": round(seam_ratio(made.volume.hu, [*(keyframes - 1), *keyframes]), 3),
        "slice_step_hu": {"median": round(float(np.median(steps)), 2), "max": round(float(steps.max()), 2)},
    }


def training_steps(folder: Path, fov_mm: float, slices: int) -> dict[str, float]:
    """Median slice step of each training volume, framed and resampled as the synthetic ones are."""
    result = {}
    for volume in load_folder(folder, 512):
        framed = frame(volume, fov_mm, 512)
        along_z = interpolate(framed.flatten(1).T[None], size=slices, mode="linear", align_corners=False)[0].T.reshape(
            slices, 512, 512
        )
        result[volume.name] = round(float(np.median(slice_steps(along_z.numpy() * 1000))), 2)
    return result


def main() -> None:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--scan", type=Path)
    parser.add_argument("--train", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=[])
    parser.add_argument("--slices", type=int, default=201)
    arguments = parser.parse_args()
    result: dict[str, object] = {}
    if arguments.scan:
        result["codec_ceiling"] = ceiling(arguments.model, arguments.scan)
    if arguments.seeds:
        pipeline = SynthesisPipeline.load(arguments.model)
        result["synthetic"] = [synthetic(pipeline, seed, arguments.slices) for seed in arguments.seeds]
    if arguments.train:
        fov_mm = load_bundle(arguments.model).facts1.fov_mm or 340.0
        result["training_slice_step_hu"] = training_steps(arguments.train, fov_mm, arguments.slices)
    result["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
