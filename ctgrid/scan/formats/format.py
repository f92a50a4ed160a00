"""What every file format must offer: how its files are named, read and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctgrid.base.files import atomic_output, check_output

if TYPE_CHECKING:
    import numpy as np

    from ctgrid.scan.formats.stored import StoredScan


@dataclass(frozen=True)
class ToWrite:
    """A volume on its way into a file.

    Attributes:
        hu: (z, y, x) in HU, as they are in memory.
        affine: (4, 4) voxel (x, y, z) to RAS+ mm.
        record: its provenance.
        cast: gives the HU in the number format that is wanted.
        template: a file of the same format whose header may be kept.
    """

    hu: np.ndarray
    affine: np.ndarray
    record: Mapping[str, Any]
    cast: Callable[[], np.ndarray]
    template: Path | None = None


def _nothing_else(path: Path) -> bool:
    return False


def _check_file(path: Path, overwrite: bool) -> None:
    check_output(path, overwrite)


@dataclass(frozen=True)
class Format:
    """One way to keep a volume.

    Attributes:
        name: as records and the code call it.
        reads: suffixes of the files that are read, in lower case.
        writes: suffixes of the files that are written.
        read: called with a path, and the series that is meant or None; raises CtgridError.
        write: called as ``write(path, volume, overwrite)``; writes all of it or nothing.
        check: called as ``check(path, overwrite)``; raises CtgridError where ``path`` cannot be written.
        recognises: tells, of a path whose suffix is no format's, whether it is to be read all the same.
        series: whether a path may hold several scans, of which one can be chosen.
    """

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    read: Callable[[Path, str | None], StoredScan]
    write: Callable[[Path, ToWrite, bool], None]
    check: Callable[[Path, bool], None] = _check_file
    recognises: Callable[[Path], bool] = _nothing_else
    series: bool = False


def whole_file(write: Callable[[Path, ToWrite, bool], None]) -> Callable[[Path, ToWrite, bool], None]:
    """Turn the writer of a single file into one that leaves all of it or nothing.

    Args:
        write: called as ``write(path, volume, marked)``; ``marked`` tells that the values are sure to be HU, so that
            the file may say so.
    """

    def written(path: Path, volume: ToWrite, overwrite: bool) -> None:
        from ctgrid.scan.formats.stored import hu_confirmed

        check_output(path, overwrite)
        marked = hu_confirmed(volume.record)
        with atomic_output(path, overwrite) as temporary:
            write(temporary, volume, marked)

    return written
