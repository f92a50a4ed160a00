"""What is said aloud of a scan that is read on weak evidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctgrid.scan.formats.stored import StoredScan
from ctgrid.scan.hu.doubts import doubts

GRID = np.diag([-40.0, -40.0, 40.0, 1.0])


@pytest.mark.parametrize(
    ("top", "slope", "share", "told"),
    [
        (32767, 1.0, 0.02, True),
        (63536, 1.0, 0.02, True),
        (32767, 1.0, 0.001, False),
        (3071, 1.0, 0.02, False),
        (-32767, -1.0, 0.02, True),
        (2000, 2.0, 0.02, True),
    ],
    ids=["padding", "unsigned", "metal", "12 bits", "turned", "scaled"],
)
def test_padding_above_all_tissue_that_no_header_tells_of(top: int, slope: float, share: float, told: bool) -> None:
    """By the HU, whichever way the stored values run."""
    values = np.zeros((10, 10, 10), np.int32)
    values.reshape(-1)[: round(1000 * share)] = top
    hu = {"source": "stored", "slope": slope, "intercept": 0.0, "confirmed": True}
    said = doubts(StoredScan(values, GRID, "nifti"), Path("a.nii"), GRID, hu)
    assert said == ([f"2 % of its voxels hold {top * slope:g} HU, which no tissue has: undeclared padding?"] * told)
