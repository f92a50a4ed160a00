"""One way in for every format: the reader that a name asks for, and whether a name can be written."""

from __future__ import annotations

from pathlib import Path

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import full_suffix
from ctgrid.scan.formats.kinds import FOLDER, input_format, output_format, readable
from ctgrid.scan.formats.stored import StoredScan


def read_stored(path: Path, series: str | None = None) -> StoredScan:
    """Read a scan with the reader that its name asks for.

    Args:
        path: A ``.nii``, ``.nii.gz``, ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd`` file, a folder or ``.zip``
            with DICOM series, or one DICOM file.
        series: Which DICOM series: its number in ``ctgrid info``, its UID, or the UID's unique ending. None
            takes the largest axial CT.

    Raises:
        CtgridError: The path is missing, of an unknown kind, or damaged.
    """
    if not path.exists():
        raise CtgridError(f"{path} does not exist")
    if not path.is_file() and not path.is_dir():  # a pipe, say: to open it may wait for ever
        raise CtgridError(f"{path} is neither a file nor a folder")
    told = input_format(path)
    if series is not None and (told is None or not told.series):
        raise CtgridError(f"{path} is not DICOM: a series can be chosen only in a DICOM folder or .zip")
    if told is None:
        raise CtgridError(
            f"{path}: cannot read files of type {full_suffix(path) or '(no suffix)'!r}; "
            f"give one of {', '.join(readable())}, or a folder with a DICOM series"
        )
    return told.read(path, series)


def is_dicom(path: Path) -> bool:
    """Tell whether a path is read as DICOM: a folder, a ``.zip``, or a DICOM file by suffix or by content.

    Args:
        path: A path that exists.
    """
    return (path.is_file() or path.is_dir()) and input_format(path) is FOLDER


def check_writable(path: Path, overwrite: bool = False) -> None:
    """Make sure that a volume can be written under a name, before any long work starts.

    Args:
        path: A file of a known kind, or the folder of a DICOM series.
        overwrite: Whether what is already there may be replaced.

    Raises:
        CtgridError: It cannot, or something is there that may not be replaced.
    """
    output_format(path).check(path, overwrite)
