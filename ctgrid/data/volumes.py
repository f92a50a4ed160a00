"""Volumes as training draws from them: the interface, and folders of scans in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.scan.formats.kinds import readable
from ctgrid.scan.protocols.resample import SCALE_HU

if TYPE_CHECKING:
    from ctgrid.scan.cases import Case
    from ctgrid.scan.hu.metadata import MetadataTable


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
    suffix = max((suffix for suffix in readable() if path.name.lower().endswith(suffix)), key=len, default="")
    return path.name[: len(path.name) - len(suffix)]


def find_volumes(folder: str | Path, exclude: tuple[str, ...] = (), must_be_there: tuple[str, ...] = ()) -> list[Case]:
    """List the scans below a folder, each under a name of its own, as ``ctgrid prepare`` finds and names them.

    Args:
        folder: where to look, also in folders inside it.
        exclude: names of volumes to leave out.
        must_be_there: those of them that some volume must have.

    Raises:
        CtgridError: where the folder does not exist or holds no volume, or as :func:`check_excluded`.
    """
    from ctgrid.scan.cases import find_cases, named

    folder = Path(folder)
    if not folder.is_dir():
        raise CtgridError(f"{folder}: not a folder; --data takes a folder of CT volumes")
    found = named(find_cases([folder]))
    check_excluded(must_be_there, [case.name for case in found], folder)
    found = [case for case in found if case.name not in exclude]
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


def load_slices(path: Path, size: int, name: str | None = None, metadata: MetadataTable | None = None) -> VolumeSlices:
    """Read one volume and bring it to canonical orientation, ``size`` x ``size`` pixels, its own slices.

    Args:
        path: of a scan.
        size: rows and columns.
        name: it goes by; None takes that of the file or folder.
        metadata: the collection's table, where the scan holds stored values.
    """
    from ctgrid.scan.ct import require_ct
    from ctgrid.scan.protocols.canonical import canonical_pass
    from ctgrid.scan.volume import Volume

    volume = Volume.read(path, metadata=metadata)
    require_ct(volume)
    made = canonical_pass(volume, size=size, k=1, slices=None)
    return VolumeSlices(name or volume_name(path), torch.from_numpy(made.slices), made.record.spacing_mm)


def load_volumes(
    paths: Sequence[Path],
    size: int,
    progress: Progress = silent,
    names: Sequence[str] | None = None,
    metadata: MetadataTable | None = None,
) -> list[VolumeSlices]:
    """Read volumes, see :func:`load_slices`; ``names`` go with the paths."""
    volumes = []
    for i, path in enumerate(paths):
        progress("reading volumes", i, len(paths))
        volumes.append(load_slices(path, size, None if names is None else names[i], metadata))
    progress("reading volumes", len(paths), len(paths))
    return volumes


def load_folder(
    folder: str | Path, size: int, exclude: tuple[str, ...] = (), progress: Progress = silent
) -> list[VolumeSlices]:
    """Read every volume below a folder (see :func:`find_volumes` and :func:`load_slices`)."""
    found = find_volumes(folder, exclude)
    return load_volumes([case.path for case in found], size, progress, [case.name for case in found])
