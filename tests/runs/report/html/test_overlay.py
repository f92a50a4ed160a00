"""Maps over a scan: nearest values at its voxels, wherever both lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctgrid import Volume
from ctgrid.base.errors import CtgridError
from ctgrid.runs.report.html.overlay import onto, read_map

GRID = Volume(np.zeros((6, 8, 10), np.int16), np.diag([-1.0, -1.0, 2.0, 1.0]))


def test_a_map_on_the_same_grid_is_as_it_is_however_it_is_turned() -> None:
    labels = Volume(np.arange(480, dtype=np.int16).reshape(6, 8, 10), GRID.affine)
    assert np.array_equal(onto(labels.reoriented("RAI"), GRID, "x").hu, labels.hu)


def test_a_coarser_map_gives_its_nearest_values_and_nothing_beyond() -> None:
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    affine[2, 3] = 4.0  # begins two slices higher
    coarse = Volume(np.arange(1, 81, dtype=np.int16).reshape(4, 4, 5), affine)
    found = onto(coarse, GRID, "x").hu
    for z, y, x in np.ndindex(found.shape):
        mm = GRID.affine @ [x, y, z, 1]
        at = np.rint(np.linalg.inv(affine) @ mm)[:3].astype(int)
        inside = all(0 <= i < n for i, n in zip(at, (5, 4, 4), strict=True))
        assert found[z, y, x] == (coarse.hu[at[2], at[1], at[0]] if inside else 0)
    assert not found[:2].any() and found[2:, :7, :9].all()


def test_what_cannot_be_laid_over_is_said(tmp_path: Path, oblique_affine: np.ndarray) -> None:
    with pytest.raises(CtgridError, match="x lies askew"):
        onto(Volume(np.ones((4, 4, 4), np.int16), oblique_affine), GRID, "x")
    far = GRID.affine.copy()
    far[0, 3] = 500
    with pytest.raises(CtgridError, match="x lies elsewhere"):
        onto(Volume(np.ones((4, 4, 4), np.int16), far), GRID, "x")
    path = Volume(np.full((6, 8, 10), 0.5, np.float32), GRID.affine).write(tmp_path / "m.nii.gz", dtype=np.float32)
    with pytest.raises(CtgridError, match=r"m\.nii\.gz holds fractions.*--trust"):
        read_map(path, "labels", GRID)
    assert read_map(path, "trust", GRID).hu.max() == 0.5
