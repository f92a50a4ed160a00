"""Denoising methods side by side: clean scans, noise of known kind, measures, pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.families import unknown
from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import fingerprint, version_of
from ctgrid.data.volumes import volume_name
from ctgrid.methods.denoising.choice import Choice
from ctgrid.methods.denoising.diffusion import diffusion_identity
from ctgrid.methods.denoising.methods import METHODS, Loading, default_method
from ctgrid.methods.denoising.result import Denoiser
from ctgrid.metrics.regions import TISSUES_HU, body_mask, difference, lung_mask
from ctgrid.runs.evaluation.keep import keep_case
from ctgrid.runs.evaluation.measures import mean_of, measure_slice, measure_tissues, residual_spectrum
from ctgrid.runs.evaluation.noise import Noise, clipped
from ctgrid.runs.evaluation.outside import case_name, check_folders, read_result, result_of, write_input
from ctgrid.runs.evaluation.results import Cases, Results, Row, case_hash
from ctgrid.runs.evaluation.slices import parse_slices, runs_of, subvolume, with_context
from ctgrid.scan.hu.metadata import MetadataTable
from ctgrid.scan.volume import Volume

NOISY = "noisy"
"""The method that does nothing: what the others start from."""


def quick_methods() -> tuple[str, ...]:
    """Return the methods compared where none are named: all filters but the slowest, and the embedded model's best."""
    return (NOISY, *(m.name for m in METHODS.values() if m.classical and m.name != "patch-based"), default_method())


PROTOCOL = "denoising@1"
"""Version of what is measured; part of every case's hash."""

Given = float | Literal["known", "auto"]


@dataclass(frozen=True)
class Evaluation:
    """What is compared, and how.

    Attributes:
        noises: kinds of noise.
        methods: methods with their settings (:class:`Choice` reads them), :data:`NOISY` among them where wanted.
        slices: those measured, ``A:B:STEP``; slice-wise methods denoise only these.
        seed: of the noise and of the methods.
        strength: what methods are told: the noise that was added ("known"), nothing ("auto"), or a number of HU.
        hu: how the scans' values become HU.
        loading: what methods need to be loaded.
        metadata: tables of the scans' collection, where they hold stored values.
        results: folders of what other tools made of the same noisy scans; each is a method called as its folder.
        inputs_out: folder that gets the noisy scans, for other tools.
    """

    noises: tuple[Noise, ...]
    methods: tuple[str, ...] = field(default_factory=quick_methods)
    slices: str = ":"
    seed: int = 0
    strength: Given = "known"
    hu: str = "auto"
    loading: Loading = field(default_factory=Loading)
    metadata: tuple[Path, ...] = ()
    results: tuple[Path, ...] = ()
    inputs_out: Path | None = None

    @cached_property
    def outside(self) -> dict[str, Path]:
        """The folders of results by the names of their rows."""
        return {folder.name: folder for folder in self.results}

    @property
    def compared(self) -> tuple[str, ...]:
        """Names of all rows: methods, then other tools."""
        return (*self.methods, *self.outside)

    @cached_property
    def table(self) -> MetadataTable | None:
        """The tables, read once."""
        return MetadataTable.read_all(self.metadata)

    def cases(
        self, name: str, noise: Noise, hashes: dict[str, str], run: Callable[[dict[str, str]], Iterable[Row]]
    ) -> Cases:
        """Return the cases of a scan under one kind of noise."""
        return Cases(f"{name}, {noise}", {"volume": name, "noise": str(noise)}, hashes, run)

    def source_of(self, path: Path) -> str:
        """Return what tells a scan from another: the hash of its content, and its row of the tables if it has one."""
        row = self.table.row(path) if self.table is not None else None
        digest = str(fingerprint(path)["sha256"])
        return digest if row is None else f"{digest} {sorted(row.fields.items())}"


@dataclass
class MethodBench:
    """Methods that were loaded, each once."""

    loading: Loading
    loaded: dict[str, Denoiser] = field(default_factory=dict)

    @cached_property
    def networks(self) -> dict[str, Any]:
        """What a network's result depends on: files, precision, ctgrid's version and its settings of diffusion."""
        from ctgrid.stages.models.bundle import digest_of_model

        weights = self.loading.weights
        return {
            "loading": asdict(self.loading),
            "version": version_of("ctgrid"),
            "diffusion": diffusion_identity(),
            "model": digest_of_model(self.loading.model),
            "weights": None if weights is None else fingerprint(weights)["sha256"],
        }

    def load(self, names: Iterable[str]) -> None:
        """Load methods, before anything is written."""
        for choice in (Choice.parse(name) for name in names if name != NOISY):
            if choice.name not in self.loaded:
                self.loaded[choice.name] = choice.method.load(self.loading)

    def timed(
        self,
        name: str,
        scan: Volume,
        strength: float | Literal["auto"],
        seed: int,
        only: Sequence[int] | None = None,
    ) -> tuple[np.ndarray, float, float]:
        """Return a loaded method's result in HU, the noise that it assumed, and the seconds it took.

        Args:
            name: of the method, with settings.
            scan: what it sees.
            strength: the noise that it is told.
            seed: where it draws numbers.
            only: numbers of the slices to finish, where the method can leave others out.
        """
        choice = Choice.parse(name)
        given = {"seed": seed, "only": only} if only is not None else {"seed": seed}
        extra = {key: value for key, value in given.items() if key in choice.method.keywords}
        started = time.perf_counter()
        result = self.loaded[choice.name].run(scan, strength, **{**extra, **choice.settings})
        return result.volume.hu, result.noise_hu, time.perf_counter() - started


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
        CtgridError: for a bad scan, method or setting.
    """
    names = check_inputs(clean, plan)
    results = Results.open(out / "results.json", overwrite)
    bench = MethodBench(plan.loading)

    def work() -> Iterator[Cases]:
        for path, name in zip(clean, names, strict=True):
            source, read = plan.source_of(path), cache(partial(CleanScan.read, path, name, plan))
            for noise in plan.noises:
                hashes = {method: hash_of(plan, source, noise, method, bench, name) for method in plan.compared}
                if plan.inputs_out is not None:
                    progress("writing noisy scans", 0, 1)
                    volume = read().volume
                    noisy = noise.apply(volume, np.arange(len(volume.hu)), plan.seed, lambda *_: None)
                    write_input(plan.inputs_out, case_name(name, str(noise)), noisy, volume)
                yield plan.cases(name, noise, hashes, partial(run_cases, read, noise, plan, bench, out, progress))

    results.complete(work(), len(clean) * len(plan.noises) * len(plan.compared), "reading", progress)
    return results


@dataclass(frozen=True)
class CleanScan:
    """A clean scan with what is measured in it.

    Attributes:
        name: of the scan.
        volume: clipped.
        indices: slices that are measured.
        body: (m, y, x) bool, of those slices.
        lungs: likewise.
    """

    name: str
    volume: Volume
    indices: np.ndarray
    body: np.ndarray
    lungs: np.ndarray

    @classmethod
    def read(cls, path: Path, name: str, plan: Evaluation) -> CleanScan:
        """Read a scan, turn it so that slices are axial and counted from the feet, and find body and lungs."""
        from ctgrid.scan.ct import require_ct

        volume = Volume.read(path, hu=plan.hu, metadata=plan.table)
        require_ct(volume, min_slices=1)
        volume = clipped(volume.reoriented("LPS"))
        indices = parse_slices(plan.slices, len(volume.hu))
        return cls(
            name, volume, indices, body_mask(volume.hu[indices]), lung_mask(volume.hu, volume.spacing_mm)[indices]
        )

    @property
    def clean(self) -> np.ndarray:
        """The slices that are measured, (m, y, x)."""
        return np.asarray(self.volume.hu[self.indices])

    def level_of(self, noise: Noise, noisy: np.ndarray) -> float:
        """Return the noise's standard deviation in HU; in soft tissue where it varies."""
        if noise.kind == "gaussian":
            return noise.level
        clean = self.clean
        low, high = TISSUES_HU["soft"]
        soft = self.body & ~self.lungs & (clean >= low) & (clean <= high)
        where = soft if soft.any() else np.ones(clean.shape, bool)
        return difference(noisy, clean, where).spread_hu


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
    needed = np.unique(np.concatenate([with_context(scan.indices, count, c) for c in contexts.values()]))
    noisy = noise.apply(scan.volume, needed, plan.seed, lambda phase, _, __: progress(phase, 0, 1))
    measured = np.searchsorted(needed, scan.indices)
    true_hu = scan.level_of(noise, noisy[measured])
    strength = true_hu if plan.strength == "known" else plan.strength
    clean = scan.clean
    for number, (name, case) in enumerate(missing.items()):
        found = np.empty(clean.shape, np.float32)
        seconds: float | None = 0.0
        assumed: float | None = None
        slices = 0
        if name == NOISY:
            found[:] = noisy[measured]
        elif name in plan.outside:
            made = result_of(plan.outside[name], case_name(scan.name, str(noise)))
            found[:], seconds = read_result(made, scan.volume)[scan.indices], None
        else:
            seen = with_context(scan.indices, count, contexts[name])
            slices = len(scan.indices) if methods[name].partial else len(seen)
            for run in runs_of(seen, contexts[name]):
                part = subvolume(noisy[np.searchsorted(needed, run)], scan.volume, run)
                wanted = np.isin(run, scan.indices)
                only = None if wanted.all() else np.flatnonzero(wanted).tolist()
                hu, assumed, spent = bench.timed(name, part, strength, plan.seed, only)
                seconds = (seconds or 0.0) + spent
                found[np.isin(scan.indices, run)] = hu[wanted]
        means = mean_of(measure_slice(*images) for images in zip(found, clean, strict=True))
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
            "noise_hu": round(true_hu, 2),
            "assumed_hu": None if assumed is None else round(assumed, 2),
            "slices_measured": len(scan.indices),
            "slices_denoised": slices,
            "case": case,
        }


def check_inputs(clean: Sequence[Path], plan: Evaluation) -> list[str]:
    """Return the scans' names after all that can be checked before any work.

    Raises:
        CtgridError: for a missing scan, two of one name, an unknown method, or a bad strength.
    """  # noqa: DOC501
    if not clean or not plan.noises or not plan.methods:
        raise CtgridError("evaluation needs at least one clean scan, one kind of noise and one method")
    for method in plan.methods:
        if method != NOISY and method.partition("[")[0] not in METHODS:
            raise unknown(method, "denoising method", [NOISY, *METHODS])
        if method != NOISY:
            Choice.parse(method)
    if isinstance(plan.strength, float | int) and not plan.strength > 0:
        raise CtgridError(f"strength must be known, auto or a number of HU above 0, got {plan.strength:g}")
    for path in (*clean, *([plan.loading.weights] if plan.loading.weights else [])):
        if not path.exists():
            raise CtgridError(f"{path} does not exist")
    names = [volume_name(path) for path in clean]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise CtgridError(f"two clean scans are called {', '.join(sorted(twice))}; rename one, results go by name")
    check_folders(plan.results, (NOISY, *METHODS))
    for folder in plan.results:
        for name in names:
            for noise in plan.noises:
                result_of(folder, case_name(name, str(noise)))
    return names


def hash_of(plan: Evaluation, source: str, noise: Noise, method: str, bench: MethodBench, scan: str = "") -> str:
    """Return the hash of what determines a case: protocol, scan, slices, noise, method and what it was told."""
    facts: dict[str, Any] = {"protocol": PROTOCOL, "source": source, "hu": plan.hu, "slices": plan.slices}
    facts |= {"seed": plan.seed, "noise": str(noise), "method": method}
    if method in plan.outside:
        facts["result"] = fingerprint(result_of(plan.outside[method], case_name(scan, str(noise))))["sha256"]
    elif method != NOISY:
        facts["strength"] = plan.strength
        choice = Choice.parse(method)
        if choice.method.classical:
            from ctgrid.methods.denoising.baselines.classical import CLASSICAL

            facts["tuned"] = CLASSICAL[choice.name].tuned
        else:
            facts |= bench.networks
    return case_hash(**facts)
