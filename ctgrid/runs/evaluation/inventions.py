"""Structures that a method put into a lung, or took out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SCALE_MM = 3.0
"""Full width at half maximum of the Gaussian under which a difference must stand out: that of a small nodule."""

THRESHOLD_HU = 100.0

EDGE_MM = 3.0
"""So near to the lung's edge a difference is blur of the edge, not a structure."""


@dataclass(frozen=True)
class Inventions:
    """False structures inside the lungs.

    Attributes:
        false_count: regions brighter than in the clean scan by more than the threshold.
        lost_count: regions darker.
        litres: of lung looked at.
        worst: (z, y, x) of the brightest false structure, or None.
    """

    false_count: int
    lost_count: int
    litres: float
    worst: tuple[int, int, int] | None

    @property
    def false_per_litre(self) -> float | None:
        """False structures per litre of lung."""
        return self.false_count / self.litres if self.litres > 0 else None

    @property
    def lost_per_litre(self) -> float | None:
        """Lost structures per litre of lung."""
        return self.lost_count / self.litres if self.litres > 0 else None


def find_inventions(
    found: np.ndarray, clean: np.ndarray, inner: np.ndarray, spacing_mm: tuple[float, float, float]
) -> Inventions:
    """Count what a denoised scan has and the clean one has not, and the other way round.

    The difference is smoothed by a Gaussian of 3 mm (so that noise of a pixel or two is no structure); connected
    regions beyond 100 HU count.

    Args:
        found: (n, y, x) HU, denoised.
        clean: (n, y, x) HU, with all that belongs there.
        inner: (n, y, x) bool, the lungs without their edges, see :func:`inner_lung`.
        spacing_mm: (z, y, x).
    """
    from scipy.ndimage import gaussian_filter, label

    widths = [SCALE_MM / 2.3548 / s for s in spacing_mm]
    off = found.astype(np.float32) - clean
    off[~inner] = 0  # before too, so that a blurred edge does not reach in
    off = gaussian_filter(off, widths)
    off[~inner] = 0
    litres = float(inner.sum()) * float(np.prod(spacing_mm)) / 1e6
    _, false = label(off > THRESHOLD_HU)
    _, lost = label(off < -THRESHOLD_HU)
    z, y, x = (int(i) for i in np.unravel_index(int(off.argmax()), off.shape))
    return Inventions(int(false), int(lost), litres, (z, y, x) if false else None)


def inner_lung(lungs: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Return the lungs without what lies within 3 mm of their edges.

    Args:
        lungs: (n, y, x) bool.
        spacing_mm: (z, y, x).
    """
    from scipy.ndimage import distance_transform_edt

    return np.asarray(distance_transform_edt(lungs, sampling=spacing_mm) > EDGE_MM)
