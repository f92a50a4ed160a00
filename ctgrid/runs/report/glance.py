"""The few planes of a volume that a picture shows, kept while its slices pass by."""

from __future__ import annotations

from typing import Any

import numpy as np

from ctgrid.runs.report.sheet import MONTAGE
from ctgrid.scan.geometry import axis_codes, spacing_mm, turn


class Glance:
    """Stands for a volume turned to LPS order where :func:`ctgrid.runs.report.picture.contact_sheet` looks at it.

    Attributes:
        shape: (z, y, x) of the volume in LPS order.
        spacing_mm: (z, y, x).
    """

    def __init__(self, shape: tuple[int, int, int], affine: np.ndarray) -> None:
        """Keep nothing yet.

        Args:
            shape: (z, y, x), y and x alike.
            affine: (4, 4), RAS+ mm, of axial slices.
        """
        self.codes = axis_codes(affine)
        self.shape, self.spacing_mm, self.ndim = shape, spacing_mm(affine), len(shape)
        count = min(MONTAGE**2, shape[0])
        self._shown = {shape[0] - 1 - int((i + 0.5) * shape[0] / count) for i in range(count)}
        self._axial: dict[int, np.ndarray] = {}
        self._coronal = np.zeros((shape[0], shape[2]), np.int16)
        self._sagittal = np.zeros((shape[0], shape[1]), np.int16)

    def add(self, first: int, hu: np.ndarray) -> None:
        """Look at slices (n, y, x) that begin with number ``first``."""
        hu = turn(hu, self.codes, "LPS")
        if self.codes[2] == "I":
            first = self.shape[0] - first - len(hu)
        span = slice(first, first + len(hu))
        self._coronal[span] = hu[:, self.shape[1] // 2, :]
        self._sagittal[span] = hu[:, :, self.shape[2] // 2]
        for z in self._shown & set(range(first, first + len(hu))):
            self._axial[z] = hu[z - first].copy()

    @property
    def hu(self) -> Glance:
        """What can be indexed like a volume's voxels."""
        return self

    def reoriented(self, codes: str = "LPS") -> Glance:
        """Return itself, which is turned already."""
        assert codes == "LPS"
        return self

    def __getitem__(self, index: Any) -> np.ndarray:
        """Return slice z, or the middle plane in ``[z, y // 2, :]`` or ``[z, :, x // 2]``."""
        if not isinstance(index, tuple):
            return self._axial[index]
        z, y, x = index
        plane = self._coronal if isinstance(x, slice) else self._sagittal
        assert (y if isinstance(x, slice) else x) == self.shape[1 if isinstance(x, slice) else 2] // 2
        return plane[z]
