"""Kinds of noise that clean scans are given, by the names that users write.

The clean scan is clipped to [-1000, 1000] HU first; what noise makes of it is not clipped, so that methods see
noise as it is. Values are clipped when they are measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from ctgrid.base.draws import generator_for, normal
from ctgrid.base.errors import CtgridError
from ctgrid.base.families import meant
from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import fingerprint
from ctgrid.data.pair_table import ScanPair, read_pairs
from ctgrid.methods.denoising.result import MOST_HU
from ctgrid.scan.volume import Volume
from ctgrid.scan.windows import FULL_WINDOW_HU

Kind = Literal["gaussian", "low-dose", "pairs"]
STREAM = 606
"""Number that names evaluation's noise among the streams of a seed."""


@dataclass(frozen=True)
class Noise:
    """One kind of noise at one level.

    Attributes:
        kind: "gaussian" is white, of ``level`` HU; "low-dose" that of ``level`` times the scan's dose; "pairs" is that
            of the noisy scans of a table (:mod:`ctgrid.data.pair_table`).
        level: HU, or a fraction of the dose.
        table: of pairs.
        cutoff_per_mm: of the pairs' kernel; None is the one that follows from the scan's own noise.
    """

    kind: Kind
    level: float
    table: Path | None = None
    cutoff_per_mm: float | None = None

    def __str__(self) -> str:
        kernel = "" if self.cutoff_per_mm is None else f"@{self.cutoff_per_mm:g}"
        return f"{self.kind}:{self.level:g}{kernel}"

    def pair_of(self, clean: Path) -> ScanPair:
        """Return the pair of a clean scan, which is known by its bytes, in the table.

        Args:
            clean: its path.

        Raises:
            CtgridError: where the table cannot be read or holds none.
        """
        assert self.table is not None
        digest = fingerprint(clean)["sha256"]
        for pair in read_pairs(self.table):
            own = pair.cutoff_per_mm if pair.kernel == "given" else None
            if pair.clean_sha256 == digest and (pair.dose, own) == (self.level, self.cutoff_per_mm):
                return pair
        raise CtgridError(f"{self.table} lists no noisy version of {clean} for {self}; leave the scan out of --clean")

    def bytes_of(self, clean: Path) -> str:
        """Return what tells the noise of a scan besides its kind, level and seed: a noisy file's hash."""
        return f" {fingerprint(self.pair_of(clean).noisy)['sha256']}" if self.kind == "pairs" else ""

    def apply(self, clean: Volume, indices: np.ndarray, seed: int, progress: Progress = silent) -> np.ndarray:
        """Return some slices of a clean volume with this noise.

        A slice's noise depends on the seed and its index alone, whichever others are asked for; the white noise
        of all levels is one pattern, scaled.

        Args:
            clean: the scan, clipped to :data:`FULL_WINDOW_HU`.
            indices: (m,) slices wanted.
            seed: of the noise.
            progress: called where it takes long.

        Returns:
            (m, y, x) float32 in HU, not clipped.
        """
        if self.kind == "low-dose":
            from ctgrid.data.simulate import low_dose

            chosen = [int(index) for index in indices]
            noisy = low_dose(clean, self.level, seed, indices=chosen, progress=progress)
            return noisy.hu[indices].astype(np.float32)
        if self.kind == "pairs":
            return self._paired(clean, indices)
        noisy = clean.hu[indices].astype(np.float32)
        for image, index in zip(noisy, indices, strict=True):
            image += self.level * normal(image.shape, generator_for(seed, STREAM, int(index))).numpy()
        return noisy

    def _paired(self, clean: Volume, indices: np.ndarray) -> np.ndarray:
        """Return slices of the noisy scan that belongs to a clean one."""
        path = self.pair_of(Path(clean.record["source"])).noisy
        noisy = Volume.read(path).reoriented("LPS")
        if noisy.shape != clean.shape or not np.allclose(noisy.affine, clean.affine, atol=1e-3):
            raise CtgridError(f"{path} does not lie on the grid of {clean.record['source']}")
        return noisy.hu[indices].astype(np.float32)


def parse_noise(text: str) -> list[Noise]:
    """Read ``gaussian:50,100``, ``low-dose:0.25`` or ``pairs:TABLE``, which stands for all that the table lists.

    Raises:
        CtgridError: for another kind, or a level that means nothing.
    """
    kind, colon, levels = text.partition(":")
    if kind not in get_args(Kind) or not colon:
        raise CtgridError(
            f"noise {text!r}: write gaussian:HU,HU,..., low-dose:FRACTION,... or pairs:TABLE"
            f"{meant(kind, get_args(Kind))}"
        )
    if kind == "pairs":
        return _kinds_of(Path(levels))
    found = []
    for part in levels.split(","):
        try:
            level = float(part)
        except ValueError:
            level = math.nan
        most = 1.0 if kind == "low-dose" else MOST_HU
        if not 0 < level <= most or (kind == "low-dose" and level == 1):
            hu = f"HU above 0, {MOST_HU:g} at most"
            wanted = "a fraction of the dose between 0 and 1" if kind == "low-dose" else hu
            raise CtgridError(f"noise {text!r}: {part!r} is not {wanted}")
        found.append(Noise(kind, level))  # type: ignore[arg-type]
    return found


def _kinds_of(table: Path) -> list[Noise]:
    """Return the doses and kernels of a table, each once, in its order."""
    kinds = [
        Noise("pairs", pair.dose, table, pair.cutoff_per_mm if pair.kernel == "given" else None)
        for pair in read_pairs(table)
    ]
    if not kinds:
        raise CtgridError(f"{table} lists no pairs")
    return list(dict.fromkeys(kinds))


def clipped(volume: Volume) -> Volume:
    """Return a volume clipped to :data:`FULL_WINDOW_HU`, its dtype kept."""
    low, high = FULL_WINDOW_HU
    return Volume(
        np.clip(volume.hu, volume.hu.dtype.type(low), volume.hu.dtype.type(high)), volume.affine, volume.record
    )
