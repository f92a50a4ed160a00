"""Denoising methods side by side: clean scans, noise of known kind, measures, pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.methods.denoising.choice import Choice
from ctgrid.methods.denoising.trust.maps import load_table
from ctgrid.runs.evaluation.clean_scan import CleanScan
from ctgrid.runs.evaluation.denoising_plan import NOISY, Evaluation, check_inputs
from ctgrid.runs.evaluation.keep import keep_case
from ctgrid.runs.evaluation.measures import mean_of, measure_residual, measure_slice, measure_tissues, residual_spectrum
from ctgrid.runs.evaluation.method_bench import MethodBench, hash_of
from ctgrid.runs.evaluation.noise import Noise
from ctgrid.runs.evaluation.outside import case_name, read_result, result_of, write_input
from ctgrid.runs.evaluation.results import Cases, Results, Row, Unreadable, tried
from ctgrid.runs.evaluation.slices import runs_of, subvolume, with_context
from ctgrid.runs.evaluation.trust import measure_trust
from ctgrid.scan.noise import estimate_noise, slices_told_by


def evaluate_denoising(
    clean: Sequence[Path], plan: Evaluation, out: Path, *, overwrite: bool = False, progress: Progress = silent
) -> Results:
    """Add noise to clean scans, denoise them by every method, and measure.

    What is done is kept in ``out/results.json`` after every case; the same call goes on where it stopped, and
    computes again what other settings gave.

    Args:
        clean: paths of scans with as little noise as can be had.
        plan: what is compared.
        out: folder for ``results.json`` and ``cases/``; made where missing.
        overwrite: forget earlier results.
        progress: called after every case.

    Returns:
        The results; each row holds ``volume``, ``noise``, ``method``, ``psnr``, ``ssim``, ``seconds`` and the
        other measures of :func:`ctgrid.runs.evaluation.measures.measure_slice`.

    Raises:
        CtgridError: for a bad method or setting, or where no scan can be read; one of several is left out.
    """
    names = check_inputs(clean, plan)
    if plan.trust:
        load_table(plan.loading.model)
    results = Results.open(out / "results.json", overwrite)
    bench = MethodBench(plan.loading)

    def work() -> Iterator[Cases]:
        for path, name in zip(clean, names, strict=True):
            try:
                source = plan.source_of(path)
            except CtgridError as error:
                results.leave_out(error)
                continue
            read = cache(partial(tried, CleanScan.read, path, name, plan))
            for noise in plan.noises:
                seen = f"{source}{noise.bytes_of(path)}"
                hashes = {method: hash_of(plan, seen, noise, method, bench, name) for method in plan.compared}
                if plan.inputs_out is not None:
                    progress("writing noisy scans", 0, 1)
                    with suppress(Unreadable):  # told where it is measured
                        volume = read().volume
                        noisy = noise.apply(volume, np.arange(len(volume.hu)), plan.seed, lambda *_: None)
                        write_input(plan.inputs_out, case_name(name, str(noise)), noisy, volume)
                yield plan.cases(name, noise, hashes, partial(run_cases, read, noise, plan, bench, out, progress))

    results.complete(work(), len(clean) * len(plan.noises) * len(plan.compared), "reading", progress)
    results.check_some(len(clean))
    return results


def run_cases(
    read: Callable[[], CleanScan],
    noise: Noise,
    plan: Evaluation,
    bench: MethodBench,
    out: Path,
    progress: Progress,
    missing: dict[str, str],
) -> Iterator[Row]:
    """Yield one row for each method that is missing, with its picture kept in ``out/cases``."""
    scan = read()
    bench.load(name for name in missing if name not in plan.outside)
    count = len(scan.volume.hu)
    methods = {name: Choice.parse(name).method for name in missing if name != NOISY and name not in plan.outside}
    contexts = {name: methods[name].context if name in methods else 0 for name in missing}
    telling = slices_told_by(count) if plan.strength == "auto" else scan.indices
    needed = np.unique(np.concatenate([telling, *(with_context(scan.indices, count, c) for c in contexts.values())]))
    noisy = noise.apply(scan.volume, needed, plan.seed, lambda phase, _, __: progress(phase, 0, 1))
    measured = np.searchsorted(needed, scan.indices)
    true_hu = scan.level_of(noise, noisy[measured])
    strength = true_hu if plan.strength == "known" else plan.strength
    estimate = cache(lambda: estimate_noise(subvolume(noisy[np.searchsorted(needed, telling)], scan.volume, telling)))
    clean = scan.clean
    table = load_table(plan.loading.model)[0] if plan.trust else None

    def trusted(before: np.ndarray, after: np.ndarray) -> dict[str, float | None]:
        spacing = scan.volume.spacing_mm[1:]
        return {} if table is None else measure_trust(table, before, after, clean, spacing)

    for number, (name, case) in enumerate(missing.items()):
        found = np.empty(clean.shape, np.float32)
        seconds: float | None = 0.0
        assumed: float | None = None
        slices = 0
        if name == NOISY:
            found[:] = noisy[measured]
        elif name in plan.outside:
            made = result_of(plan.outside[name], case_name(scan.name, str(noise)))
            found[:], seconds = read_result(made, scan.volume, scan.indices), None
        else:
            seen = with_context(scan.indices, count, contexts[name])
            slices = len(scan.indices) if methods[name].partial else len(seen)
            for run in runs_of(seen, contexts[name]):
                part = subvolume(noisy[np.searchsorted(needed, run)], scan.volume, run)
                wanted = np.isin(run, scan.indices)
                only = None if wanted.all() else np.flatnonzero(wanted).tolist()
                told = estimate() if strength == "auto" and contexts[name] is not None else strength
                hu, assumed, spent = bench.timed(name, part, told, plan.seed, only)
                seconds = (seconds or 0.0) + spent
                found[np.isin(scan.indices, run)] = hu[wanted]
        means = mean_of(measure_slice(*images) for images in zip(found, clean, strict=True))
        if name != NOISY:
            means |= mean_of(measure_residual(*images) for images in zip(noisy[measured], found, clean, strict=True))
        if number == 0:  # what cannot be done leaves nothing
            keep_case(out, scan.name, str(noise), "clean", scan.indices, clean)
            before = residual_spectrum(noisy[measured], clean, scan.volume.spacing_mm[1:])
            keep_case(out, scan.name, str(noise), NOISY, scan.indices, noisy[measured], before)
        if name != NOISY:
            spectrum = residual_spectrum(found, clean, scan.volume.spacing_mm[1:])
            keep_case(out, scan.name, str(noise), name, scan.indices, found, spectrum)
        yield {
            "volume": scan.name,
            "noise": str(noise),
            "method": name,
            "psnr": means.pop("psnr"),
            "ssim": means.pop("ssim"),
            "seconds": None if seconds is None else round(seconds, 3),
            **means,
            **measure_tissues(found, clean, scan.body, scan.lungs),
            **(trusted(noisy[measured], found) if name not in (NOISY, *plan.outside) else {}),
            "noise_hu": round(true_hu, 2),
            "assumed_hu": None if assumed is None else round(assumed, 2),
            "slices_measured": len(scan.indices),
            "slices_denoised": slices,
            "case": case,
        }
