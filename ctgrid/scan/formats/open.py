"""One way in for every format: the reader that a name asks for, and whether a name can be written."""

from __future__ import annotations

from pathlib import Path

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import check_output, full_suffix
from ctgrid.scan.formats.kinds import (
    DICOM_SUFFIXES,
    ITK_SUFFIXES,
    NIFTI_SUFFIXES,
    READABLE,
    ZIP_SUFFIXES,
    output_kind,
)
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
    suffix = full_suffix(path)
    if not path.exists():
        raise CtgridError(f"{path} does not exist")
    if not path.is_file() and not path.is_dir():  # a pipe, say: to open it may wait for ever
        raise CtgridError(f"{path} is neither a file nor a folder")
    if is_dicom(path):
        from ctgrid.scan.formats.dicom.read import read_dicom

        return read_dicom(path, series)
    if series is not None:
        raise CtgridError(f"{path} is not DICOM: a series can be chosen only in a DICOM folder or .zip")
    if suffix in NIFTI_SUFFIXES:
        from ctgrid.scan.formats.nifti.read import read_nifti

        return read_nifti(path)
    if suffix in ITK_SUFFIXES:
        from ctgrid.scan.formats.itk.read import read_itk

        return read_itk(path)
    raise CtgridError(
        f"{path}: cannot read files of type {suffix or '(no suffix)'!r}; "
        f"give one of {', '.join(READABLE)}, or a folder with a DICOM series"
    )


def is_dicom(path: Path) -> bool:
    """Tell whether a path is read as DICOM: a folder, a ``.zip``, or a DICOM file by suffix or by content.

    Args:
        path: A path that exists.
    """
    suffix = full_suffix(path)
    if not path.is_file() and not path.is_dir():
        return False
    if path.is_dir() or suffix in (*ZIP_SUFFIXES, *DICOM_SUFFIXES):
        return True
    if suffix in READABLE:
        return False
    from ctgrid.scan.formats.dicom.files import looks_like_dicom

    with path.open("rb") as stream:
        return looks_like_dicom(stream.read(132))


def check_writable(path: Path, overwrite: bool = False) -> None:
    """Make sure that a volume can be written under a name, before any long work starts.

    Args:
        path: A file of a known kind, or the folder of a DICOM series.
        overwrite: Whether what is already there may be replaced.

    Raises:
        CtgridError: It cannot, or something is there that may not be replaced.
    """
    if output_kind(path) == "dicom":
        from ctgrid.scan.formats.dicom.write import check_folder

        check_folder(path, overwrite)
    else:
        check_output(path, overwrite)
