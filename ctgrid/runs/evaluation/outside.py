"""What other tools made of the same inputs: folders of volumes, named as the inputs that they were made from.

``--inputs-out`` writes those inputs; a tool makes a volume of each, on the same grid and under the same name; and
``--results FOLDER`` measures that folder as a method called FOLDER.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.data.volumes import volume_name
from ctgrid.scan.formats.kinds import readable
from ctgrid.scan.volume import Volume

OFF_MM = 0.1
"""Places of two grids' corners that count as one."""

OFF_HU = 1.0
"""Values of two inputs that count as one: what networks compute differs by rounding."""


SLOPE, SHIFT_HU = (0.3, 3.0), 200.0
"""Between these a result follows its scan, and so near its mean stays, if both are in HU."""

FLAT_HU = 50.0
"""A scan that varies less tells nothing of scales."""

SCALES = (("0 ... 1", 0.0, 1.0), ("-1 ... 1", -1.0, 1.0), ("0 ... 255", 0.0, 255.0))
"""What pictures are often scaled to."""

OVER = 0.1
"""How far beyond such a scale its values may lie, in parts of it: tools overshoot."""


def case_name(volume: str, condition: str) -> str:
    """Return the name of an input without suffix: ``scan_gaussian-100`` of ``scan`` and ``gaussian:100``."""
    return f"{volume}_{condition.replace(':', '-')}"


def check_folders(folders: Sequence[Path], taken: Iterable[str], inputs_out: Path | None = None) -> None:
    """Make sure that each folder of results is there and has a name of its own, and that inputs have a folder.

    Raises:
        CtgridError: where one is missing, or called like a method or another one, or ``inputs_out`` is a file.
    """
    if inputs_out is not None and inputs_out.exists() and not inputs_out.is_dir():
        raise CtgridError(f"{inputs_out} is a file; --inputs-out names a folder, which is made")
    seen = set(taken)
    for folder in folders:
        if not folder.is_dir():
            raise CtgridError(f"{folder} is no folder; --results names the folder with a tool's results")
        if folder.name in seen:
            raise CtgridError(
                f"{folder}: {folder.name!r} is taken as a method's name; rename the folder, rows go by it"
            )
        seen.add(folder.name)


def result_of(folder: Path, name: str) -> Path:
    """Return the volume in a folder that was made of an input.

    Raises:
        CtgridError: where there is none, or more than one.
    """
    known = readable()
    found = [
        path
        for path in sorted(folder.iterdir())
        if path.name.lower().endswith(tuple(known)) and volume_name(path) == name
    ]
    if len(found) != 1:
        what = "no volume" if not found else f"{len(found)} volumes"
        raise CtgridError(
            f"{folder} holds {what} called {name}; results are named as the inputs that --inputs-out wrote"
        )
    return found[0]


def read_result(path: Path, like: Volume, indices: np.ndarray) -> np.ndarray:
    """Return slices of a result in HU, (m, y, x) on the grid of the volume that it was made from.

    Args:
        path: of the result.
        like: the clean volume.
        indices: (m,) of the slices that are measured; the others may hold anything.

    Raises:
        CtgridError: where it lies on another grid, or does not hold HU.
    """
    found = Volume.read(path, hu="header").reoriented(like.orientation)
    corners = np.array([[0, 0, 0, 1], [*(n - 1 for n in reversed(like.hu.shape)), 1]], dtype=float).T
    if found.hu.shape != like.hu.shape:
        shapes = (" x ".join(map(str, reversed(volume.hu.shape))) for volume in (found, like))
        raise CtgridError(f"{path} lies on another grid than its input: {' voxels, not '.join(shapes)}")
    off = np.abs(found.affine @ corners - like.affine @ corners).max()
    if not off <= OFF_MM:
        raise CtgridError(f"{path} lies on another grid than its input: its corners are up to {off:.3g} mm away")
    made = np.asarray(found.hu)[indices]
    check_scale(path, made, like.hu[indices])
    return made


def check_scale(path: Path, made: np.ndarray, clean: np.ndarray) -> None:
    """Make sure that a result is in HU, as the volume behind it: pictures are often scaled to 0 ... 1 or 0 ... 255.

    Raises:
        CtgridError: where it follows the volume by another factor, or lies far above or below it.
    """
    values, truth = made.astype(np.float64), clean.astype(np.float64)
    if not np.isfinite(values).all():
        raise CtgridError(f"{path}: {np.count_nonzero(~np.isfinite(values))} of its values are no numbers")
    if truth.std() < FLAT_HU:
        return
    shift = float(values.mean() - truth.mean())
    slope = float(((values - values.mean()) * (truth - truth.mean())).mean() / truth.var())
    if SLOPE[0] < slope < SLOPE[1] and abs(shift) < SHIFT_HU:
        return
    low, high = float(values.min()), float(values.max())
    scale = next((s for s, a, b in SCALES if a - OVER * (b - a) <= low and high <= b + OVER * (b - a)), None)
    what = f"look like {scale} and not like HU" if scale else "are no HU of this scan"
    where = f"lie {abs(shift):.4g} {'above' if shift > 0 else 'below'} it on average"
    raise CtgridError(
        f"{path}: its values, from {low:.4g} to {high:.4g}, {what}: they rise by {slope:.2g} for each HU of the scan "
        f"and {where}; write results in HU, as their inputs are"
    )


def write_input(folder: Path, name: str, hu: np.ndarray, like: Volume) -> None:
    """Write an input as float32 NIfTI, unless the very same is there; the folder is made.

    Args:
        folder: of the inputs.
        name: see :func:`case_name`.
        hu: (z, y, x).
        like: gives the grid.

    Raises:
        CtgridError: where another input has that name, as of another seed, scan or size.
    """
    path = folder / f"{name}.nii.gz"
    if path.exists():
        there = Volume.read(path, hu="header")
        if there.hu.shape != hu.shape or not np.abs(there.hu - hu).max() <= OFF_HU:
            raise CtgridError(f"{path} is another input (of another seed, scan or size); name another --inputs-out")
        return
    folder.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {"source": "input of an evaluation"}
    Volume(np.asarray(hu, np.float32), like.affine, record).write(path, dtype=np.float32)
