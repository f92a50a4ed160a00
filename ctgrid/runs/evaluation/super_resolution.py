"""Super-resolution methods side by side: real slices shrunk to cells, brought back, measured (the paper's Table 6)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.base.families import unknown
from ctgrid.base.machine import version_of
from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import fingerprint
from ctgrid.methods.denoising.methods import Loading
from ctgrid.runs.evaluation.clip_distance import ClipMeasure, clips_of, distances_of, keep_clips, kept_clips
from ctgrid.runs.evaluation.keep import keep_case
from ctgrid.runs.evaluation.measures import mean_of, measure_slice
from ctgrid.runs.evaluation.outside import case_name, check_folders, read_result, result_of, write_input
from ctgrid.runs.evaluation.results import Cases, Results, Row, Unreadable, case_hash, tried
from ctgrid.runs.evaluation.samples import Sample, Slices
from ctgrid.runs.evaluation.sinsr import ADDRESS, SinSRSettings
from ctgrid.runs.evaluation.slices import parse_slices
from ctgrid.runs.evaluation.upscalers import FITTED, METHODS, NETWORKS, REFINED, SINSR, Upscaler, Upscalers
from ctgrid.runs.results.super_resolution import CLIPS, SETTING
from ctgrid.scan.grid import downsample
from ctgrid.scan.protocols.resample import SCALE_HU
from ctgrid.scan.volume import Volume
from ctgrid.scan.windows import FULL_WINDOW_HU

KIND = "super-resolution"
PROTOCOL = "super-resolution@1"
"""Version of what is measured; part of every case's hash."""

TRUTH = "original"
QUICK_METHODS = ("bicubic", "lanczos", "back-projection", "stage2", "stage2-projected", "codec")
"""Methods compared where none are named; patch regression joins them where there is something to fit it on."""

IDENTITY = ("volume", "method", *SETTING)


@dataclass(frozen=True)
class Comparison:
    """What is compared, and how.

    Attributes:
        methods: names; see :data:`ctgrid.runs.evaluation.upscalers.METHODS`.
        slices: those measured, ``A:B:STEP`` from the feet.
        seed: of stage 2.
        refine_steps: of stage 2; None takes the default of synthesis.
        size: S, pixels of full slices; None takes the model's.
        k: factor; None takes the model's.
        batch_size: slices at once.
        through_codec: let the shrunk slices pass through the model's codec, as those do that stage 1 makes.
        loading: of the model.
        results: folders of what other tools made of the same shrunk slices; each is a method called as its folder.
        inputs_out: folder that gets the shrunk slices, for other tools.
        sinsr: where SinSR is, for method ``sinsr``.
        clips: how far clips of slices are from the originals', see :mod:`ctgrid.runs.evaluation.clip_distance`.
    """

    methods: tuple[str, ...] = QUICK_METHODS
    slices: str = ":"
    seed: int = 0
    refine_steps: int | None = None
    size: int | None = None
    k: int | None = None
    batch_size: int = 4
    through_codec: bool = False
    loading: Loading = field(default_factory=Loading)
    results: tuple[Path, ...] = ()
    inputs_out: Path | None = None
    sinsr: SinSRSettings | None = None
    clips: ClipMeasure = field(default_factory=ClipMeasure)

    @property
    def outside(self) -> dict[str, Path]:
        """The folders of results by the names of their rows."""
        return {folder.name: folder for folder in self.results}

    def shape(self) -> tuple[int, int]:
        """Return S and K, the model's where they are not given.

        Raises:
            CtgridError: where there is no such model, or they do not go together.
        """
        size, k = self.size, self.k
        if size is None or k is None or self.through_codec or set(self.methods) & set(NETWORKS):
            from ctgrid.stages.models.bundle import model_folder
            from ctgrid.stages.models.facts import StageFacts

            facts = StageFacts.read(model_folder(self.loading.model) / "stage2")
            size, k = size or facts.size, k or facts.factor
            if set(self.methods) & set(REFINED) and (size, k) != (facts.size, facts.factor):
                raise CtgridError(
                    f"model {self.loading.model} refines slices of {facts.cell_size} to {facts.size} pixels; "
                    f"leave size and k out, or method stage2"
                )
        if k < 2 or size % k:
            raise CtgridError(f"slices of {size} pixels do not shrink by {k}; k is 2 or more and divides the size")
        if SINSR in self.methods and self.sinsr is not None and self.sinsr.check() != k:
            raise CtgridError(
                f"SinSR enlarges by {self.sinsr.check()}, not by {k}; leave method {SINSR} out, or change k"
            )
        return size, k


def check_methods(methods: Sequence[str], train: bool, sinsr: bool = False) -> None:
    """Check names of methods, and that they have what they are fitted on.

    Args:
        methods: what is compared.
        train: whether there are training volumes.
        sinsr: whether there is SinSR.

    Raises:
        CtgridError: for an unknown method, none at all, or one that lacks what it needs.
    """  # noqa: DOC501
    if not methods:
        raise CtgridError("super-resolution needs at least one method")
    for method in methods:
        if method not in METHODS:
            raise unknown(method, "super-resolution method", METHODS)
    if FITTED in methods and not train:
        raise CtgridError(
            f"method {FITTED} is fitted on training volumes: name some with --train, none that are measured"
        )
    if SINSR in methods and not sinsr:
        raise CtgridError(f"method {SINSR} needs --sinsr DIR, a checkout of {ADDRESS} with its weights")


def evaluate_super_resolution(
    real: Sequence[Sample],
    plan: Comparison,
    out: Path,
    *,
    train: Sequence[Sample] = (),
    overwrite: bool = False,
    progress: Progress = silent,
) -> Results:
    """Shrink slices K-fold as grids do, bring them back by every method, and measure.

    What is done is kept in ``out/results.json`` after every case; the same call goes on where it stopped. Rows of
    another size, factor, choice of slices or way to the coarse slices stay beside the new ones; what another model,
    seed or number of steps gave is computed again.

    Args:
        real: volumes at the size of :meth:`Comparison.shape`.
        plan: what is compared.
        out: folder for ``results.json`` and ``cases/``; made where missing.
        train: volumes to fit patch regression on, none of those that are measured.
        overwrite: forget earlier results.
        progress: called after every case.

    Returns:
        The results, with the distances of clips under ``clips``; each row holds ``volume``, ``method``, ``psnr``,
        ``ssim``, ``ms_ssim``, ``seconds``, the other measures of
        :func:`ctgrid.runs.evaluation.measures.measure_slice`, and the window and data range of the first.

    Raises:
        CtgridError: for a bad volume, method or setting, or volumes that were trained on.
    """
    check_methods(plan.methods, bool(train), plan.sinsr is not None)
    size, k = plan.shape()
    names = [sample.name for sample in real]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise CtgridError(f"two volumes are called {', '.join(sorted(twice))}; rename one, results go by name")
    known = {sample.digest: sample.name for sample in train}
    for sample in real:
        if FITTED in plan.methods and sample.digest in known:
            raise CtgridError(
                f"{sample.name} is one of the volumes of --train ({known[sample.digest]}); leave it out there"
            )
    check_folders(plan.results, METHODS, plan.inputs_out)
    condition = condition_of(k, plan.through_codec)
    made = {
        name: {sample.name: result_of(folder, case_name(sample.name, condition)) for sample in real}
        for name, folder in plan.outside.items()
    }
    results = Results.open(out / "results.json", overwrite, IDENTITY, KIND)
    upscalers = Upscalers(k, size, plan.loading, plan.seed, plan.refine_steps, train, plan.sinsr, progress)
    facts = facts_of(plan, size, k, train)
    setting = dict(zip(SETTING, (size, k, plan.slices, plan.through_codec), strict=True))

    def cases_of(sample: Sample) -> Cases:
        hashes = {method: case_hash(source=sample.digest, method=method, **facts[method]) for method in plan.methods}
        files = {method: paths[sample.name] for method, paths in made.items()}
        for method, file in files.items():
            digest = fingerprint(file)["sha256"]
            hashes[method] = case_hash(source=sample.digest, method=method, result=digest, **common_of(plan, size, k))
        if plan.inputs_out is not None:
            progress("writing shrunk slices", 0, 1)
            with suppress(Unreadable):  # told where it is measured
                write_shrunk(plan.inputs_out, sample, plan, upscalers)
        run = partial(run_cases, sample, plan, upscalers, out, files)
        return Cases(sample.name, {"volume": sample.name, **setting}, hashes, run)

    total = len(real) * (len(plan.methods) + len(made))
    results.complete(map(cases_of, real), total, "reading", progress)
    results.check_some(len(real))
    kept = [(row, kept_clips(out, row, condition_of(row["k"], row["through_codec"]))) for row in results.rows]
    if found := distances_of(kept, SETTING, plan.clips.protocol.statistics.ddof):
        results.put_together(CLIPS, found)
    return results


def run_cases(
    sample: Sample,
    plan: Comparison,
    upscalers: Upscalers,
    out: Path,
    outside: Mapping[str, Path],
    missing: dict[str, str],
) -> Iterator[Row]:
    """Yield one row for each method that is missing, with a slice of it kept in ``out/cases``.

    ``outside`` are the files that other tools made of the sample, by the names of their rows.
    """
    volume = tried(sample.load)
    indices = parse_slices(plan.slices, len(volume.hu))
    full = volume.hu[indices]
    condition = condition_of(upscalers.k, plan.through_codec)
    keep_case(out, sample.name, condition, TRUTH, indices, full)
    clips = clips_of(indices, plan.clips.frames)
    truth = plan.clips.of(full, clips) if len(clips) else None
    for method, case in missing.items():
        seconds: float | None = None
        if method in outside:
            found = read_result(outside[method], placed(volume.hu, volume), indices).clip(*FULL_WINDOW_HU)
            found = found.astype(np.float32)
        else:
            found, seconds = upscaled(full, upscalers.get(method), plan, upscalers)
        means = mean_of(measure_slice(a, b) for a, b in zip(found, full, strict=True))
        keep_case(out, sample.name, condition, method, indices, found)
        low, high = FULL_WINDOW_HU
        row = {
            "volume": sample.name,
            "method": method,
            "psnr": means.pop("psnr"),
            "ssim": means.pop("ssim"),
            "ms_ssim": means.pop("ms_ssim"),
            "seconds": None if seconds is None else round(seconds, 3),
            **means,
            "window_hu": [low, high],
            "data_range_hu": high - low,
            "size": upscalers.size,
            "k": upscalers.k,
            "through_codec": plan.through_codec,
            "slices": plan.slices,
            "slices_measured": len(indices),
            "case": case,
        }
        if plan.clips.frames:
            row["clip_frames"] = plan.clips.frames
        if truth is not None:
            row["clip_measure"] = plan.clips.name
            keep_clips(out, row, condition, truth, plan.clips.of(found, clips))
        yield row


def upscaled(full: np.ndarray, upscale: Upscaler, plan: Comparison, upscalers: Upscalers) -> tuple[np.ndarray, float]:
    """Return slices (m, S, S) in HU after shrinking and a method, float32, and the seconds of the method."""
    found, seconds = np.empty(full.shape, np.float32), 0.0
    for first in range(0, len(full), plan.batch_size):
        part = slice(first, first + plan.batch_size)
        unit, coarse = shrunk(full[part], plan, upscalers)
        started = time.perf_counter()
        made = upscale(coarse, unit)
        seconds += time.perf_counter() - started
        found[part] = made[:, 0].numpy() * SCALE_HU
    return found, seconds


def shrunk(full: np.ndarray, plan: Comparison, upscalers: Upscalers) -> tuple[Tensor, Tensor]:
    """Return slices (m, S, S) in HU as (m, 1, S, S) in [-1, 1], and what methods get of them, (m, 1, s, s)."""
    unit = torch.from_numpy(full.astype(np.float32) / SCALE_HU)[:, None]
    coarse = downsample(unit, upscalers.k).clamp(-1, 1)
    return unit, upscalers.coded_coarse(coarse) if plan.through_codec else coarse


def placed(hu: np.ndarray, slices: Slices) -> Volume:
    """Return slices, full or shrunk, as a volume about the origin: both lie over each other."""
    z, y, x = slices.spacing_mm
    k = slices.hu.shape[1] / hu.shape[1]
    return Volume.from_array(hu, (z, y * k, x * k))


def write_shrunk(folder: Path, sample: Sample, plan: Comparison, upscalers: Upscalers) -> None:
    """Write all slices of a volume as methods get them."""
    volume = tried(sample.load)
    parts = range(0, len(volume.hu), plan.batch_size)
    coarse = torch.cat([shrunk(volume.hu[i : i + plan.batch_size], plan, upscalers)[1] for i in parts])
    hu = coarse[:, 0].numpy() * SCALE_HU
    name = case_name(sample.name, condition_of(upscalers.k, plan.through_codec))
    write_input(folder, name, hu, placed(hu, volume))


def condition_of(k: int, through_codec: bool) -> str:
    """Return the name under which pictures of a comparison are kept."""
    return f"x{k}-codec" if through_codec else f"x{k}"


def common_of(plan: Comparison, size: int, k: int) -> dict[str, Any]:
    """Return what determines the results of every method."""
    asked = {"slices": plan.slices, "size": size, "k": k, "through_codec": plan.through_codec}
    return {"protocol": PROTOCOL, **asked, "clips": plan.clips.facts}


def facts_of(plan: Comparison, size: int, k: int, train: Sequence[Sample]) -> dict[str, dict[str, Any]]:
    """Return by method what determines its results besides the volume."""
    facts: dict[str, dict[str, Any]] = {method: common_of(plan, size, k) for method in plan.methods}
    if FITTED in facts:
        facts[FITTED] |= {"train": sorted(sample.digest for sample in train), "version": version_of("ctgrid")}
    if SINSR in facts and plan.sinsr is not None:
        facts[SINSR] |= {"seed": plan.seed, **plan.sinsr.facts()}
    for method in plan.methods if plan.through_codec else set(plan.methods) & set(NETWORKS):
        from ctgrid.stages.models.bundle import digest_of_model

        facts[method] |= {"loading": asdict(plan.loading), "model": digest_of_model(plan.loading.model)}
        facts[method] |= {"version": version_of("ctgrid")}
    for method in set(plan.methods) & set(REFINED):
        facts[method] |= {"seed": plan.seed, "refine_steps": plan.refine_steps}
    return facts
