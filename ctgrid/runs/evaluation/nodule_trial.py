"""What methods do to planted nodules, and what they invent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_output
from ctgrid.base.progress import Progress, silent
from ctgrid.runs.evaluation.clean_scan import CleanScan
from ctgrid.runs.evaluation.denoising_plan import NOISY, Evaluation, check_inputs
from ctgrid.runs.evaluation.inventions import find_inventions, inner_lung
from ctgrid.runs.evaluation.keep import case_folder
from ctgrid.runs.evaluation.method_bench import MethodBench, hash_of
from ctgrid.runs.evaluation.nodule_edges import nodule_edges
from ctgrid.runs.evaluation.nodules import Nodule, contrast_of, place_nodules, plant
from ctgrid.runs.evaluation.noise import Noise
from ctgrid.runs.evaluation.results import Cases, Results, Row, case_hash, tried
from ctgrid.runs.evaluation.slices import subvolume
from ctgrid.runs.results.nodules import mean_recovered
from ctgrid.scan.volume import Volume

PROTOCOL = "nodules@2"
REPEATS = 2
"""Nodules of each diameter and contrast, as far as there is room."""

CROP_MM = 40.0


@dataclass(frozen=True)
class Field:
    """Part of a clean scan, with nodules.

    Attributes:
        name: of the scan.
        bare: (n, y, x) before they were planted.
        volume: with nodules.
        nodules: where they are.
        inner: (n, y, x) bool, lungs without edges.
    """

    name: str
    bare: np.ndarray
    volume: Volume
    nodules: list[Nodule]
    inner: np.ndarray

    @classmethod
    def plant(cls, path: Path, name: str, plan: Evaluation) -> Field:
        """Read a scan, find its lungs, and plant nodules by the plan's seed."""
        scan = CleanScan.read(path, name, plan)
        if len(scan.indices) > 1 and np.diff(scan.indices).max() > 1:
            raise CtgridError(f"slices {plan.slices!r}: nodules need an unbroken range, such as 20:60")
        spacing = scan.volume.spacing_mm
        bare, lungs = scan.clean, scan.lungs
        nodules = place_nodules(bare, lungs, spacing, plan.seed, REPEATS)
        part = subvolume(plant(bare, nodules, spacing), scan.volume, scan.indices)
        return cls(name, bare, part, nodules, inner_lung(lungs, spacing))


def evaluate_nodules(
    clean: Sequence[Path], plan: Evaluation, out: Path, *, overwrite: bool = False, progress: Progress = silent
) -> Results:
    """Plant nodules in clean scans, add noise, denoise, and look for the nodules and for what is new.

    Resumed as :func:`ctgrid.runs.evaluation.denoising.evaluate_denoising` is; results are in ``out/nodules.json``.

    Args:
        clean: paths of scans with as little noise as can be had.
        plan: noises, methods, the seed that also places nodules, and an unbroken range of slices.
        out: folder, made where missing.
        overwrite: forget earlier results.
        progress: called after every case.

    Returns:
        One row for each scan, noise and method: ``nodules`` (each with its ``recovered`` share of the contrast),
        ``recovered_6mm_200hu``, ``false_per_litre``, ``lost_per_litre``, ``edge_width_mm`` and ``edge_f50_per_mm`` (of
        the planted scan itself ``clean_...``; see :mod:`ctgrid.metrics.edge_response`), ``seconds``.

    Raises:
        CtgridError: for a bad scan, method or setting, or a scan without lungs.
    """
    if any(noise.kind == "pairs" for noise in plan.noises):
        raise CtgridError("nodules are planted before the noise is added: name its kind and level, no table of pairs")
    names = check_inputs(clean, plan)
    results = Results.open(out / "nodules.json", overwrite)
    bench = MethodBench(plan.loading)

    def work() -> Iterator[Cases]:
        for path, name in zip(clean, names, strict=True):
            try:
                source = plan.source_of(path)
            except CtgridError as error:
                results.leave_out(error)
                continue
            planted = cache(partial(tried, Field.plant, path, name, plan))
            for noise in plan.noises:
                hashes = {m: hash_of(plan, source, noise, m, bench) for m in plan.methods}
                hashes = {m: case_hash(protocol=PROTOCOL, of=of) for m, of in hashes.items()}
                yield plan.cases(name, noise, hashes, partial(run_trials, planted, noise, plan, bench, out))

    total = len(clean) * len(plan.noises) * len(plan.methods)
    results.complete(work(), total, "planting nodules", progress)
    results.check_some(len(clean))
    return results


def run_trials(
    plant_field: Callable[[], Field],
    noise: Noise,
    plan: Evaluation,
    bench: MethodBench,
    out: Path,
    missing: dict[str, str],
) -> Iterator[Row]:
    """Yield one row for each method that is missing, with crops kept for the pictures."""
    bench.load(missing)
    field = plant_field()
    planted, spacing = field.volume.hu, field.volume.spacing_mm
    noisy = noise.apply(field.volume, np.arange(len(planted)), plan.seed)
    sharp = nodule_edges(planted, field.bare, field.nodules, spacing)
    told = noise.level if noise.kind == "gaussian" else float((noisy - planted)[field.inner].std())
    for method, case in missing.items():
        seconds = 0.0
        found = noisy
        if method != NOISY:
            strength = told if plan.strength == "known" else plan.strength
            found, _, seconds = bench.timed(method, Volume(noisy, field.volume.affine), strength, plan.seed)
        rows = [measure_nodule(found, field, nodule) for nodule in field.nodules]
        inventions = find_inventions(found, planted, field.inner, spacing)
        edge = nodule_edges(found, field.bare, field.nodules, spacing)
        keep_crops(out, field, noise, method, found, noisy, inventions.worst)
        yield {
            "volume": field.name,
            "noise": str(noise),
            "method": method,
            "recovered_6mm_200hu": mean_recovered(rows, 6.0, 200.0),
            "false_per_litre": inventions.false_per_litre,
            "lost_per_litre": inventions.lost_per_litre,
            "edge_width_mm": edge[0],
            "edge_f50_per_mm": edge[1],
            "clean_edge_width_mm": sharp[0],
            "clean_edge_f50_per_mm": sharp[1],
            "false_structures": inventions.false_count,
            "lost_structures": inventions.lost_count,
            "lung_litres": round(inventions.litres, 4),
            "seconds": round(seconds, 3),
            "noise_hu": round(told, 2),
            "nodules": rows,
            "case": case,
        }


def measure_nodule(found: np.ndarray, field: Field, nodule: Nodule) -> dict[str, Any]:
    """Return what is left of one nodule: its contrast over that of the clean scan, less that of the bare lung."""
    spacing = field.volume.spacing_mm
    before = contrast_of(field.bare, nodule, spacing)
    wanted = contrast_of(field.volume.hu, nodule, spacing) - before
    left = contrast_of(found, nodule, spacing) - before
    return {
        "diameter_mm": nodule.diameter_mm,
        "contrast_hu": nodule.contrast_hu,
        "centre_zyx": [round(c, 2) for c in nodule.centre],
        "measured_hu": round(wanted, 1),
        "recovered": round(left / wanted, 4) if wanted > 0 else None,
    }


def keep_crops(
    out: Path,
    field: Field,
    noise: Noise,
    method: str,
    found: np.ndarray,
    noisy: np.ndarray,
    worst: tuple[int, int, int] | None,
) -> None:
    """Keep squares of 40 mm around every nodule and around the worst false structure: clean, noisy and found."""
    places = [nodule.centre for nodule in field.nodules] + ([worst] if worst else [])
    stacks = [
        np.stack([crop(hu, place, field.volume.spacing_mm) for hu in (field.volume.hu, noisy, found)])
        for place in places
    ]
    folder = case_folder(out, field.name, str(noise))
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_output(folder / f"{method}.nodules.npz", overwrite=True) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, crops=np.stack(stacks), false=worst is not None)


def crop(hu: np.ndarray, centre: tuple[float, float, float], spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Return a square of 40 mm around a place, int16, edges repeated beyond the picture."""
    half = round(CROP_MM / 2 / spacing_mm[1])
    z, y, x = (round(c) for c in centre)
    z = min(max(z, 0), len(hu) - 1)
    rows, columns = (
        np.clip(np.arange(c - half, c + half), 0, n - 1) for c, n in zip((y, x), hu.shape[1:], strict=True)
    )
    return np.rint(np.clip(hu[z][np.ix_(rows, columns)], -32000, 32000)).astype(np.int16)
