"""Volumes as training draws from them: the interface, and folders of scans in memory."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ctgrid.errors import CtgridError
from ctgrid.preprocess.resample import SCALE_HU
from ctgrid.progress import Progress, silent

if TYPE_CHECKING:
    from ctgrid.preprocess.metadata import MetadataTable

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")


class SliceSource(Protocol):
    """One volume to draw slices from: in memory (:class:`VolumeSlices`) or in a store."""

    @property
    def name(self) -> str:
        """The volume's name."""

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Spacing (z, y, x) of the slices."""

    def __len__(self) -> int:
        """Return the number of slices."""

    def unit(self, index: Tensor | slice | int) -> Tensor:
        """Return the chosen slices as float32 in [-1, 1]: (m, S, S), or (S, S) for one number."""

    def small(self, index: int, side: int) -> Tensor:
        """Return a slice shrunk whole to (side, side), antialiased bicubic, float32 in [-1, 1]."""

    def digest(self) -> str:
        """Return a hash of everything that training sees of the volume."""


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

    def __len__(self) -> int:
        return len(self.hu)

    def unit(self, index: Tensor | slice | int) -> Tensor:
        """Return the chosen slices as float32 in [-1, 1]."""
        return self.hu[index].float() / SCALE_HU

    def small(self, index: int, side: int) -> Tensor:
        """Return a slice shrunk whole to (side, side), float32 in [-1, 1]."""
        return shrink(self.unit(index), side)

    def digest(self) -> str:
        """Return a hash of the slices and their spacing."""
        state = sha256(repr((self.name, tuple(self.hu.shape), self.spacing_mm)).encode())
        state.update(self.hu.contiguous().numpy().data)
        return state.hexdigest()


def shrink(image: Tensor, side: int) -> Tensor:
    """Shrink an image (S, S) in [-1, 1] to (side, side), antialiased bicubic, clipped."""
    small = interpolate(image[None, None], size=(side, side), mode="bicubic", antialias=True)
    return small[0, 0].clamp(-1, 1)


def volume_name(path: Path) -> str:
    """Return a volume's name: the file's name without its CT suffix, or the folder's name."""
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.name


def find_volumes(folder: str | Path, exclude: tuple[str, ...] = (), must_be_there: tuple[str, ...] = ()) -> list[Path]:
    """List the volumes below a folder, sorted: NIfTI, NRRD and MetaImage files and DICOM series folders.

    Args:
        folder: where to look, also in folders inside it.
        exclude: names of volumes to leave out.
        must_be_there: those of them that some volume must have.

    Raises:
        CtgridError: where the folder does not exist or holds no volume, or as :func:`check_excluded`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CtgridError(f"{folder}: not a folder; --data takes a folder of CT volumes")
    found = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name.lower().endswith(SUFFIXES)]
    found += sorted({p.parent for p in folder.rglob("*") if p.suffix.lower() == ".dcm"})
    if not found:
        raise CtgridError(
            f"{folder}: no CT volume found here; expected {', '.join(SUFFIXES)} files or folders of .dcm files"
        )
    check_excluded(must_be_there, [volume_name(p) for p in found], folder)
    found = [p for p in found if volume_name(p) not in exclude]
    if not found:
        raise CtgridError(f"{folder}: every volume here is excluded by the recipe; leave one")
    return found


def check_excluded(exclude: tuple[str, ...], names: list[str], where: Path) -> None:
    """Refuse names to leave out that no volume has: a misspelt one would be trained on.

    Raises:
        CtgridError: naming them, and the most similar volume.
    """
    from difflib import get_close_matches

    here = set(names)
    unknown = [name for name in exclude if name not in here]
    if unknown:
        near = get_close_matches(unknown[0], names, n=1)
        hint = f"; did you mean {near[0]}?" if near else "; remove the name, or mend it"
        raise CtgridError(f"exclude: {where} holds no volume {', '.join(map(repr, unknown))}{hint}")


def load_slices(path: Path, size: int, metadata: MetadataTable | None = None) -> VolumeSlices:
    """Read one volume and bring it to canonical orientation, ``size`` x ``size`` pixels, its own slices.

    Args:
        path: of a scan.
        size: rows and columns.
        metadata: the collection's table, where the scan holds stored values.
    """
    from ctgrid.preprocess.canonical import canonical_pass
    from ctgrid.preprocess.hu import require_ct
    from ctgrid.volume import Volume

    volume = Volume.read(path, metadata=metadata)
    require_ct(volume)
    made = canonical_pass(volume, size=size, k=1, slices=None)
    return VolumeSlices(volume_name(path), torch.from_numpy(made.slices), made.record.spacing_mm)


def load_volumes(
    paths: list[Path], size: int, progress: Progress = silent, metadata: MetadataTable | None = None
) -> list[VolumeSlices]:
    """Read volumes, see :func:`load_slices`."""
    volumes = []
    for i, path in enumerate(paths):
        progress("reading volumes", i, len(paths))
        volumes.append(load_slices(path, size, metadata))
    progress("reading volumes", len(paths), len(paths))
    return volumes


def load_folder(
    folder: str | Path, size: int, exclude: tuple[str, ...] = (), progress: Progress = silent
) -> list[VolumeSlices]:
    """Read every volume below a folder (see :func:`find_volumes` and :func:`load_slices`)."""
    return load_volumes(find_volumes(folder, exclude), size, progress)
