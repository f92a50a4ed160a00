"""Folders of CT volumes as slices in memory, ready to be drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ctgrid.errors import CtgridError
from ctgrid.preprocess.resample import SCALE_HU
from ctgrid.progress import Progress, silent

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")


@dataclass(frozen=True)
class VolumeSlices:
    """The slices of one volume in canonical orientation.

    Attributes:
        name: the file's or folder's name without suffix.
        hu: (n, S, S) int16, clipped to [-1000, 1000] HU, lowest slice first.
        spacing_mm: (z, y, x).
    """

    name: str
    hu: Tensor
    spacing_mm: tuple[float, float, float]

    def unit(self, index: Tensor | slice | int) -> Tensor:
        """Return the chosen slices as float32 in [-1, 1]."""
        return self.hu[index].float() / SCALE_HU


def volume_name(path: Path) -> str:
    """Return a volume's name: the file's name without its CT suffix, or the folder's name."""
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.name


def find_volumes(folder: str | Path, exclude: tuple[str, ...] = ()) -> list[Path]:
    """List the volumes below a folder, sorted: NIfTI, NRRD and MetaImage files and DICOM series folders.

    Raises:
        CtgridError: where the folder does not exist or holds no volume.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CtgridError(f"{folder}: not a folder; --data takes a folder of CT volumes")
    found = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name.lower().endswith(SUFFIXES)]
    found += sorted({p.parent for p in folder.rglob("*") if p.suffix.lower() == ".dcm"})
    found = [p for p in found if volume_name(p) not in exclude]
    if not found:
        raise CtgridError(
            f"{folder}: no CT volume found here; expected {', '.join(SUFFIXES)} files or folders of .dcm files"
        )
    return found


def load_slices(path: Path, size: int) -> VolumeSlices:
    """Read one volume and bring it to canonical orientation, ``size`` x ``size`` pixels, its own slices."""
    from ctgrid.preprocess.canonical import to_canonical
    from ctgrid.preprocess.hu import require_ct
    from ctgrid.volume import Volume

    volume = Volume.read(path)
    require_ct(volume)
    unit, record = to_canonical(volume, size=size, slices=None)
    hu = (torch.as_tensor(unit) * SCALE_HU).round().to(torch.int16)
    return VolumeSlices(volume_name(path), hu, record.spacing_mm)


def load_folder(
    folder: str | Path, size: int, exclude: tuple[str, ...] = (), progress: Progress = silent
) -> list[VolumeSlices]:
    """Read every volume below a folder (see :func:`find_volumes` and :func:`load_slices`)."""
    paths = find_volumes(folder, exclude)
    volumes = []
    for i, path in enumerate(paths):
        progress("reading volumes", i, len(paths))
        volumes.append(load_slices(path, size))
    progress("reading volumes", len(paths), len(paths))
    return volumes
