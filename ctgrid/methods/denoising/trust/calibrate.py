"""Make a model's table of trust: noise added to scans that have little, taken out again, and what is left measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ctgrid.base.draws import generator_for, normal
from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent, titled
from ctgrid.data.simulate import low_dose
from ctgrid.data.simulate.dose import PHOTONS
from ctgrid.methods.denoising.detail import padding_values
from ctgrid.methods.denoising.trust.fit import Sample, draw, fit, joined
from ctgrid.methods.denoising.trust.table import TrustTable
from ctgrid.scan.noise import estimate_noise
from ctgrid.scan.noise_patches import TISSUE_HU
from ctgrid.scan.volume import Volume

CLEAN_HU = 7.0
"""Noise of a clean scan. An answer's error is its difference from one; scans that have more are brought to that."""

CUTOFFS_PER_MM = (0.8, 0.5, 1.25)
"""Kernels of the noise made in projections, smooth to sharp; scans take turns."""

FIELD_DOSE = 0.1
"""Dose at which that noise is made; then it is scaled."""

CORRELATED_HU, WHITE_HU = (13.0, 22.0, 33.0, 60.0, 110.0), (30.0, 70.0, 160.0, 320.0)
"""Noise that is added, in soft tissue; the first three are doses of 0.25, 0.1 and 0.05 of a clean scan."""

RANGES_HU = {"air": (-1400, -950), "lung": (-950, -700), "fat": (-150, -30), "soft": (-30, 150), "bone": (300, 4000)}
"""Clean values that figures are told for."""

SLICES, EACH, STREAM = 5, 400, 707
"""Slices of a scan, voxels of each range of HU in each, and the number that names all that is drawn."""


@dataclass(frozen=True)
class Answered:
    """A slice with noise added, denoised, and as it was.

    Attributes:
        noise: what was added, as evaluations call it.
        scan_hu: (y, x) with noise.
        answer_hu: (y, x).
        clean_hu: (y, x).
    """

    noise: str
    scan_hu: np.ndarray
    answer_hu: np.ndarray
    clean_hu: np.ndarray


Denoise = Callable[[Volume, list[int]], Volume]
"""Denoises some slices of a scan, by their numbers from the feet."""


def calibrate(
    scans: Iterable[tuple[str, Callable[[], Volume]]],
    denoise: Denoise,
    *,
    slices: int = SLICES,
    seed: int = 0,
    about: dict[str, Any] | None = None,
    left_out: dict[str, str] | None = None,
    progress: Progress = silent,
) -> TrustTable:
    """Return the table that tells of every voxel how far an answer is from a clean scan.

    Args:
        scans: names, and what reads each: chests with little noise, whose patients trained the model or not.
        denoise: the method, which is told nothing of the noise.
        slices: of every scan.
        seed: of the noise and of the voxels drawn.
        about: kept with the table.
        left_out: gets the scans that cannot be used, and why; None ends at the first.
        progress: called with (phase, done, total).

    Raises:
        CtgridError: where a scan cannot be read, or all show too little of a chest.
    """
    samples: list[Sample] = []
    used = {}
    for number, (name, read) in enumerate(scans):
        try:
            volume = read().reoriented("LPS")
        except CtgridError as error:
            if left_out is None:
                raise
            left_out[name] = str(error)
            continue
        spacing = volume.spacing_mm[1], volume.spacing_mm[2]
        for count, one in enumerate(answers(volume, denoise, number, slices, seed, titled(progress, name))):
            generator = generator_for(seed, STREAM, number, count + 1)
            samples.append(draw(one.scan_hu, one.answer_hu, one.clean_hu, spacing, EACH, generator))
        used[name] = round(estimate_noise(volume), 1)
    if not samples:
        raise CtgridError("no scan showed enough soft tissue to tell its noise; give whole chests")
    progress("fitting", 0, 1)
    sample = joined(samples)
    table = fit(sample)
    facts = {"clean_hu": CLEAN_HU, "scans_noise_hu": used, "slices": slices, "seed": seed, "voxels": len(sample.hu)}
    return replace(table, about={**(about or {}), **facts, "within_two": coverage(table, sample)})


def coverage(table: TrustTable, sample: Sample, sigmas: float = 2.0) -> dict[str, float]:
    """Return the share of voxels within so many standard deviations, for each of :data:`RANGES_HU` that occurs.

    Args:
        table: tells the standard deviations.
        sample: voxels whose errors are known.
        sigmas: how many.
    """
    inside = sample.error_hu <= sigmas * table.sigma(sample.hu, sample.signs)
    found = {}
    for name, (low, high) in RANGES_HU.items():
        own = (sample.clean_hu >= low) & (sample.clean_hu < high)
        if own.any():
            found[name] = round(float(inside[own].mean()), 4)
    return found


def answers(
    volume: Volume, denoise: Denoise, number: int, slices: int, seed: int, progress: Progress = silent
) -> Iterator[Answered]:
    """Yield slices of a scan under every kind of noise, denoised.

    Args:
        volume: the scan, upright (LPS).
        denoise: the method.
        number: of the scan, which chooses its kernel and names its noise.
        slices: how many are looked at; their neighbours come along.
        seed: of the noise.
        progress: called with (phase, done, total).
    """
    middle, needed = _places(len(volume.hu), slices)
    part = replace(volume, hu=volume.hu[needed])
    only = np.flatnonzero(np.isin(needed, middle)).tolist()
    clean = _cleaned(part, denoise)
    field = _field(part, clean, CUTOFFS_PER_MM[number % len(CUTOFFS_PER_MM)], seed + number, progress)
    white = np.stack([normal(field.shape[1:], generator_for(seed, STREAM, number, int(i))).numpy() for i in needed])
    kinds = [("low-dose", field, level) for level in CORRELATED_HU] + [("gaussian", white, level) for level in WHITE_HU]
    padded = np.isin(part.hu, padding_values(part.hu))
    for done, (kind, noise, level) in enumerate(kinds):
        progress("denoising", done, len(kinds))
        noisy = replace(part, hu=np.rint(clean + level * noise).clip(-32768, 32767).astype(np.int16))
        noisy.hu[padded] = part.hu[padded]
        answer = denoise(noisy, only)
        for i in only:
            if not np.array_equal(noisy.hu[i], answer.hu[i]):
                yield Answered(f"{kind}, {level:g} HU", noisy.hu[i], answer.hu[i], clean[i])


def _places(count: int, slices: int) -> tuple[np.ndarray, np.ndarray]:
    """Return slices spread over a scan, and these with their neighbours."""
    middle = np.unique(np.linspace(0, count - 1, slices + 2).round().astype(int)[1:-1])
    return middle, np.unique(np.clip(np.concatenate([middle - 1, middle, middle + 1]), 0, count - 1))


def _cleaned(part: Volume, denoise: Denoise) -> np.ndarray:
    """Return slices (n, y, x) float32 with noise of :data:`CLEAN_HU`: what more they have is taken out."""
    level = estimate_noise(part)
    if level <= CLEAN_HU:
        return part.hu.astype(np.float32)
    answer = denoise(part, list(range(len(part.hu)))).hu.astype(np.float32)
    return np.asarray(answer + np.float32(CLEAN_HU / level) * (part.hu - answer))


def _field(part: Volume, clean: np.ndarray, cutoff_per_mm: float, seed: int, progress: Progress) -> np.ndarray:
    """Return the noise of a low dose, (n, y, x) float32 with a standard deviation of 1 in soft tissue."""
    exact = replace(part, hu=part.hu.astype(np.float32))
    lowered = low_dose(exact, FIELD_DOSE, seed, photons=PHOTONS, cutoff_per_mm=cutoff_per_mm, progress=progress)
    noise = lowered.hu - exact.hu
    soft = (clean > TISSUE_HU[0]) & (clean < TISSUE_HU[1])
    return np.asarray(noise / float(noise[soft].std() if soft.any() else noise.std()))
