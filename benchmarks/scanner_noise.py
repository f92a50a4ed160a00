"""Noise as scanners make it on some slices of a scan, kept in a file: what benchmarks add and take out again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctgrid.base.files import atomic_output
from ctgrid.data.simulate.dose import DoseSettings, line_integrals, noise_over
from ctgrid.data.simulate.projector import scanner_for
from ctgrid.runs.evaluation.noise import clipped
from ctgrid.scan.volume import Volume

KERNELS_PER_MM = {"smooth": 0.5, "standard": 0.8, "sharp": 1.25}
"""Where the window of the reconstruction ends; half of it is where edges have lost half of their contrast."""

DOSES = (0.25, 0.1, 0.05)
PHOTONS, ELECTRONIC_NOISE, SEED = 2e5, 10.0, 3


@dataclass(frozen=True)
class NoisySlices:
    """Slices of a scan with their neighbours, and noise to be added to them.

    Attributes:
        clean: (n, y, x) int16, -1000 to 1000 HU.
        affine: of a volume of those slices, LPS.
        wanted: numbers of the slices that are looked at; the others are their neighbours.
        noise: (n, y, x) in HU by dose and kernel.
    """

    clean: np.ndarray
    affine: np.ndarray
    wanted: list[int]
    noise: dict[tuple[float, str], np.ndarray]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Of the voxels (z, y, x)."""
        return Volume(self.clean, self.affine).spacing_mm


def noisy_slices(
    scan: Path,
    wanted: Sequence[int],
    kept: Path,
    doses: Sequence[float] = DOSES,
    kernels: Sequence[str] = tuple(KERNELS_PER_MM),
) -> NoisySlices:
    """Make noise for slices of a scan, or read what was made before.

    Args:
        scan: a volume.
        wanted: numbers of slices, from the feet; their neighbours come along.
        kept: an npz file; what it lacks is added to it.
        doses: shares of the dose.
        kernels: of :data:`KERNELS_PER_MM`.
    """
    names = {(dose, kernel): f"dose{dose:g}:{kernel}" for dose in doses for kernel in kernels}
    known = dict(np.load(kept)) if kept.exists() else {}
    if not known or known["mids"].tolist() != sorted(wanted):
        volume = clipped(Volume.read(scan).reoriented("LPS"))
        index = sorted({i for z in wanted for i in (z - 1, z, z + 1) if 0 <= i < len(volume.hu)})
        known = {
            "idx": np.array(index),
            "mids": np.array(sorted(wanted)),
            "affine": volume.affine,
            "clean": volume.hu[index],
        }
    clean, index = known["clean"], known["idx"].tolist()
    missing = [key for key, name in names.items() if name not in known]
    if missing:
        hu = clean.astype(np.float32)
        scanner = scanner_for(hu.shape[1:], Volume(clean, known["affine"]).spacing_mm[1:], "fan")
        integrals = line_integrals(hu, scanner)
        for dose, kernel in missing:
            how = DoseSettings(dose, "fan", "insert", PHOTONS, ELECTRONIC_NOISE, KERNELS_PER_MM[kernel], 1.0, False)
            noise = noise_over(integrals, scanner, how, SEED, index)
            known[names[dose, kernel]] = np.rint(hu + noise).astype(np.int16)
            print(f"{kept.name}: noise at {dose:g} of the dose, {kernel}", flush=True)
        with atomic_output(kept, overwrite=True) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **known)
    noise = {key: known[name].astype(np.float32) - clean for key, name in names.items()}
    return NoisySlices(clean, known["affine"], [index.index(z) for z in sorted(wanted)], noise)
