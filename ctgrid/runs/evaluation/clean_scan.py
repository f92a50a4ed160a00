"""A clean scan as evaluations see it: axial slices from the feet, with body and lungs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctgrid.metrics.regions import TISSUES_HU, body_mask, difference, lung_mask
from ctgrid.runs.evaluation.denoising_plan import Evaluation
from ctgrid.runs.evaluation.noise import Noise, clipped
from ctgrid.runs.evaluation.slices import parse_slices
from ctgrid.scan.volume import Volume


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
