"""Maps that are laid over a scan: labels, trust, what was removed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.scan.formats.open import is_dicom
from ctgrid.scan.volume import Volume


def read_map(path: Path, kind: str, grid: Volume) -> Volume:
    """Read a map and bring it onto a scan's grid; its values stay what they are.

    Args:
        path: of any format that scans are read from.
        kind: ``labels`` are whole numbers.
        grid: the scan.

    Raises:
        CtgridError: It cannot be read, holds fractions where labels are asked for, or does not lie where the scan does.
    """
    volume = Volume.read(path, hu="header" if is_dicom(path) else "stored")  # DICOM keeps maps in steps
    if kind == "labels" and not all(np.array_equal(np.rint(one), one) for one in volume.hu):
        raise CtgridError(f"{path} holds fractions, so it is no map of labels; give it as --trust or --residual")
    return onto(volume, grid, str(path))


def same_grid(one: Volume, other: Volume) -> bool:
    """Tell whether two volumes, turned upright, have the same voxels at the same places."""
    one, other = one.reoriented("LPS"), other.reoriented("LPS")
    return one.shape == other.shape and np.allclose(one.affine, other.affine, atol=0.01)


def onto(volume: Volume, grid: Volume, name: str) -> Volume:
    """Return a map's nearest values at the voxels of a grid, 0 outside the map.

    Args:
        volume: the map; its axes run along the grid's.
        grid: any volume.
        name: of the map, for errors.

    Returns:
        The values, upright (LPS), on the grid's affine turned likewise.

    Raises:
        CtgridError: The axes are oblique to each other, or the two do not overlap.
    """
    upright, target = volume.reoriented("LPS"), grid.reoriented("LPS")
    if same_grid(upright, target):
        return upright
    step = np.linalg.inv(upright.affine) @ target.affine  # index (x, y, z) of the grid to that of the map
    if not np.allclose(step[:3, :3], np.diag(np.diag(step)[:3]), atol=1e-3):
        raise CtgridError(f"{name} lies askew to the scan; bring it onto the scan's grid first")
    values = np.zeros(target.shape, upright.hu.dtype)
    spots, sources = [], []
    for axis in (2, 1, 0):  # z, y, x
        index = np.rint(step[axis, axis] * np.arange(target.shape[2 - axis]) + step[axis, 3]).astype(int)
        inside = np.flatnonzero((index >= 0) & (index < upright.shape[2 - axis]))
        spots.append(inside)
        sources.append(index[inside])
    if not all(len(one) for one in spots):
        raise CtgridError(f"{name} lies elsewhere than the scan: no voxel of the two is at the same place")
    values[np.ix_(*spots)] = upright.hu[np.ix_(*sources)]
    return Volume(values, target.affine, volume.record)
