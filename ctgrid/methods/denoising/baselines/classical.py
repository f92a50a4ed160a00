"""The classical filters as denoising methods: slice by slice, with parameters tuned for the noise."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ctgrid.base.progress import Progress, silent
from ctgrid.methods.denoising.baselines import filters
from ctgrid.methods.denoising.baselines.tuned import TUNED
from ctgrid.methods.denoising.result import DenoiseResult, noise_of, untouched
from ctgrid.methods.denoising.settings import Strength
from ctgrid.scan.volume import Volume, cast_hu

LOWEST_HU = -1024.0
"""Of scanners with 12 bits."""

LEAST_FILTERED_HU = 1.0
"""Strength that is named to who had none: filters run at any above 0, but less is lost in whole HU."""

PADDING_MARGIN = 5.0
"""Values this many times the noise below that are what scanners fill in outside the field of view."""


@dataclass(frozen=True)
class ClassicalFilter:
    """One filter with its tuned parameters.

    Attributes:
        name: of the method.
        function: takes a slice (y, x) float32 in HU and the noise in HU.
        tuned: parameters by the noise in HU that they were tuned at.
    """

    name: str
    function: Callable[..., np.ndarray]
    tuned: Mapping[float, Mapping[str, Any]]

    def parameters(self, noise_hu: float) -> dict[str, Any]:
        """Return the parameters tuned at the noise nearest to ``noise_hu``, by ratio."""
        return dict(self.tuned[min(self.tuned, key=lambda level: abs(math.log(level / noise_hu)))])

    def run(self, volume: Volume, strength: Strength = "auto", *, progress: Progress = silent) -> DenoiseResult:
        """Denoise one volume slice by slice.

        Padding outside the field of view, far below air, is held at a level while the filter runs and comes back
        as it was. Noise of 0 returns the values as they are.

        Args:
            volume: the scan.
            strength: the noise's standard deviation in HU, or ``auto`` to estimate it.
            progress: called after every slice.

        Raises:
            CtgridError: where ``strength`` is no noise level.
        """
        started = time.perf_counter()
        noise_hu = noise_of(volume, strength)
        settings = {"method": self.name, "strength": strength, "noise_hu": round(noise_hu, 2)}
        if noise_hu == 0:
            return untouched(volume, noise_hu, settings, least_hu=LEAST_FILTERED_HU)
        parameters = self.parameters(noise_hu)
        settings |= parameters
        hu = volume.hu.copy()
        floor = LOWEST_HU - PADDING_MARGIN * noise_hu
        for z, image in enumerate(volume.hu):
            held = np.maximum(image, floor).astype(np.float32)
            found = self.function(held, noise_hu, **parameters)
            hu[z] = np.where(image < floor, image, cast_hu(found, hu.dtype))
            progress(self.name, z + 1, len(hu))
        phases = {"filter": round(time.perf_counter() - started, 3)}
        return DenoiseResult(replace(volume, hu=hu), phases, noise_hu, settings)


CLASSICAL: dict[str, ClassicalFilter] = {
    name: ClassicalFilter(name, getattr(filters, name.replace("-", "_")), tuned) for name, tuned in TUNED.items()
}
