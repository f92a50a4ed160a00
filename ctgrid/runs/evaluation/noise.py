"""Kinds of noise that clean scans are given, by the names that users write.

The clean scan is clipped to [-1000, 1000] HU first; what noise makes of it is not clipped, so that methods see
noise as it is. Values are clipped when they are measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ctgrid.base.draws import generator_for, normal
from ctgrid.base.errors import CtgridError
from ctgrid.base.families import meant
from ctgrid.base.progress import Progress, silent
from ctgrid.methods.denoising.result import MOST_HU
from ctgrid.scan.volume import Volume
from ctgrid.scan.windows import FULL_WINDOW_HU

Kind = Literal["gaussian", "low-dose"]
STREAM = 606
"""Number that names evaluation's noise among the streams of a seed."""


@dataclass(frozen=True)
class Noise:
    """One kind of noise at one level.

    Attributes:
        kind: "gaussian" is white, of ``level`` HU; "low-dose" that of ``level`` times the scan's dose.
        level: HU, or a fraction of the dose.
    """

    kind: Kind
    level: float

    def __str__(self) -> str:
        return f"{self.kind}:{self.level:g}"

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
        noisy = clean.hu[indices].astype(np.float32)
        for image, index in zip(noisy, indices, strict=True):
            image += self.level * normal(image.shape, generator_for(seed, STREAM, int(index))).numpy()
        return noisy


def parse_noise(text: str) -> list[Noise]:
    """Read ``gaussian:50,100`` or ``low-dose:0.25``.

    Raises:
        CtgridError: for another kind, or a level that means nothing.
    """
    kind, colon, levels = text.partition(":")
    if kind not in get_args(Kind) or not colon:
        raise CtgridError(
            f"noise {text!r}: write gaussian:HU,HU,... or low-dose:FRACTION,...{meant(kind, get_args(Kind))}"
        )
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


def clipped(volume: Volume) -> Volume:
    """Return a volume clipped to :data:`FULL_WINDOW_HU`, its dtype kept."""
    low, high = FULL_WINDOW_HU
    return Volume(
        np.clip(volume.hu, volume.hu.dtype.type(low), volume.hu.dtype.type(high)), volume.affine, volume.record
    )
