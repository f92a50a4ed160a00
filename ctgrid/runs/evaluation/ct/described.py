"""Volumes as neighbours are searched in them: features and small pictures in memory, shrunk slices on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from einops import rearrange

from ctgrid.runs.evaluation.ct.shrunk import shrunk
from ctgrid.runs.evaluation.ct.thumbnails import mean_and_scale
from ctgrid.scan.protocols.resample import SCALE_HU

PIXELS = 16
"""Side of the small pictures that are compared pixel by pixel."""


@dataclass(frozen=True)
class Described:
    """One volume as neighbours are searched in it.

    Attributes:
        name: of the volume.
        features: (n, d), scaled as :class:`Scaling` says once :meth:`Scaling.apply` was called.
        pixels: (n, p), the slices at 16 x 16 pixels, 1 for 1000 HU.
        small: where its shrunk slices (n, s, s) int16 HU lie as ``.npy``, so that no volume stays in memory.
    """

    name: str
    features: np.ndarray
    pixels: np.ndarray
    small: Path

    def slices(self) -> np.ndarray:
        """Return the shrunk slices, read as they are used."""
        return np.asarray(np.load(self.small, mmap_mode="r"))


@dataclass(frozen=True)
class Scaling:
    """Mean and spread (d,) of the training slices' features."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, volumes: Sequence[Described]) -> Scaling:
        """Take them from training volumes; see :func:`mean_and_scale`."""
        return cls(*mean_and_scale(np.concatenate([v.features for v in volumes])))

    def apply(self, volume: Described) -> Described:
        """Return a volume with features scaled so that distances are root mean squares of standard deviations."""
        scaled = (volume.features - self.mean) / self.scale / np.sqrt(len(self.mean))
        return replace(volume, features=scaled)


def small_pictures(small: np.ndarray) -> np.ndarray:
    """Return shrunk slices (n, s, s) in HU as rows (n, p) of even smaller pictures, 1 for 1000 HU."""
    return rearrange(shrunk(small, PIXELS), "n y x -> n (y x)").astype(np.float64) / SCALE_HU
