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


def read_result(path: Path, like: Volume) -> np.ndarray:
    """Return a result in HU, (z, y, x) on the grid of the volume that it was made from.

    Raises:
        CtgridError: where it lies on another grid.
    """
    found = Volume.read(path, hu="header").reoriented(like.orientation)
    corners = np.array([[0, 0, 0, 1], [*(n - 1 for n in reversed(like.hu.shape)), 1]], dtype=float).T
    if found.hu.shape != like.hu.shape:
        shapes = (" x ".join(map(str, reversed(volume.hu.shape))) for volume in (found, like))
        raise CtgridError(f"{path} lies on another grid than its input: {' voxels, not '.join(shapes)}")
    off = np.abs(found.affine @ corners - like.affine @ corners).max()
    if not off <= OFF_MM:
        raise CtgridError(f"{path} lies on another grid than its input: its corners are up to {off:.3g} mm away")
    return np.asarray(found.hu)


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
