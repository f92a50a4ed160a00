"""Smooth random fields in patient space: the same field on whatever grid it is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from ctgrid.base.draws import normal

FIELD_MM = (520.0, 480.0, 480.0)
"""Extent (z, y, x) that a field covers; beyond it, its edge goes on."""


@dataclass(frozen=True)
class Field:
    """Random numbers on a lattice with a cubic B-spline between them; mean 0, standard deviation about 1.

    Attributes:
        values: (nz, ny, nx) float32 lattice.
        pitch_mm: lattice spacing, the size of the field's grains.
        centre_mm: patient position (z, y, x) of the lattice's middle.
    """

    values: np.ndarray
    pitch_mm: float
    centre_mm: tuple[float, float, float]

    @classmethod
    def draw(cls, generator: torch.Generator, pitch_mm: float, centre_mm: tuple[float, float, float]) -> Field:
        """Draw a field with grains of a size."""
        shape = [int(extent / pitch_mm) + 5 for extent in FIELD_MM]
        values = normal((shape[0], shape[1], shape[2]), generator).numpy()
        return cls(values / 0.4799**1.5, pitch_mm, centre_mm)  # 0.4799: mean sum of squared spline weights

    def plane(self, z: float, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return the field on a plane.

        Args:
            z: height in mm.
            y: (ny,) mm.
            x: (nx,) mm.

        Returns:
            (ny, nx) float32.
        """
        weights = self._weights(np.array([z]), 0)[0]
        used = np.flatnonzero(weights)
        lattice = np.tensordot(weights[used], self.values[used], 1)
        return self._weights(y, 1) @ (lattice @ self._weights(x, 2).T)

    def _weights(self, mm: np.ndarray, axis: int) -> np.ndarray:
        """Return spline weights of positions, float32 (len(mm), lattice points)."""
        return _spline(mm.tobytes(), mm.dtype.str, self.centre_mm[axis], self.pitch_mm, self.values.shape[axis])


@lru_cache(maxsize=64)
def _spline(mm: bytes, dtype: str, centre_mm: float, pitch_mm: float, count: int) -> np.ndarray:
    """Return a lattice's spline weights of positions: rows and columns are those of the slice before."""
    where = (np.frombuffer(mm, dtype) - centre_mm) / pitch_mm + (count - 1) / 2
    distance = np.abs(np.clip(where, 1, count - 2)[:, None] - np.arange(count)[None, :])
    near, far = np.clip(1 - distance, 0, None), np.clip(2 - distance, 0, None)
    weights = ((far**3 - 4 * near**3) / 6).astype(np.float32)
    weights.flags.writeable = False
    return weights
