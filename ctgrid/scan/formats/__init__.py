"""Readers and writers of image files; each gives or takes stored values and an affine.

A format module knows nothing of HU: it hands over the numbers as stored, together with the linear
map that its own header states, and :mod:`ctgrid.scan.hu.decide` decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import check_output, full_suffix

NIFTI_SUFFIXES = (".nii", ".nii.gz")
ITK_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
ZIP_SUFFIXES = (".zip",)
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")  # of one DICOM file
READABLE = (*NIFTI_SUFFIXES, *ITK_SUFFIXES, *ZIP_SUFFIXES)
WRITABLE = (*NIFTI_SUFFIXES, ".nrrd", ".mha")
_FOREIGN_SUFFIXES = (
    *(
        ".nhdr",
        ".mhd",
        ".hdr",
        ".img",
        ".raw",
        ".gz",
        ".zip",
        ".tar",
        ".tgz",
        ".7z",
        ".bz2",
        ".xz",
        ".zst",
        ".npy",
        ".npz",
        ".h5",
        ".zarr",
    ),
    *(".mgz", ".mgh", ".mnc", ".vtk", ".vti", ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".mp4", ".pdf"),
    *(".txt", ".md", ".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".xml", ".html", ".py", ".pt", ".safetensors"),
)
_LONGEST_REASON = 200
MARK = "HU; written by ctgrid"
"""In every file that ctgrid writes and whose values are sure to be HU as they stand: nothing rescales it again."""

UNCONFIRMED = "written by ctgrid"
"""What a DICOM series is called instead, where nothing confirms that its values are HU."""


@dataclass(frozen=True, eq=False)
class StoredScan:
    """What a file holds, before anyone decided what its numbers mean.

    Attributes:
        values: (z, y, x), the stored numbers.
        affine: (4, 4) voxel (x, y, z) to RAS+ mm.
        format: "nifti", "dicom", "nrrd" or "metaimage".
        slope: The header's own slope (already applied by the DICOM reader: 1).
        intercept: The header's own intercept.
        details: What else belongs into the record, JSON-able. ``written_by_ctgrid`` is true where the file
            carries ctgrid's mark, so that its values are HU whatever stands beside it. ``notes`` tell what was done;
            ``warnings`` what was decided on weak evidence, to be said aloud. ``not_hu`` is why the file itself says
            that its values are something else.
        applied: The (slope, intercept) that the reader has applied to ``values`` already: DICOM's rescale
            tags, those of the first slice where slices differ (``details["rescale_varies"]`` tells).
        blank: Whether the header says nothing of the spacing: exactly 1 mm, as writers put in by default.
    """

    values: np.ndarray
    affine: np.ndarray
    format: str
    slope: float = 1.0
    intercept: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)
    applied: tuple[float, float] | None = None
    blank: bool = False


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


def hu_confirmed(record: Mapping[str, Any]) -> bool:
    """Tell whether the values of a volume are sure to be HU, so that a file of them may carry :data:`MARK`.

    Args:
        record: The volume's; one that was not read from a file, but made in HU, says nothing of it.
    """
    return bool(record.get("hu", {}).get("confirmed", True))


def reason_of(error: BaseException) -> str:
    """Return what another library says as one short printable line.

    Args:
        error: Its exception.
    """
    words = " ".join(str(error)[:2000].split())
    line = "".join(c for c in words if c.isprintable())
    return (line if len(line) <= _LONGEST_REASON else line[:_LONGEST_REASON] + "...") or type(error).__name__


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


def output_kind(path: Path) -> str:
    """Tell by a name which format is to be written: "nifti", "itk" or "dicom".

    A name without suffix, or with one that belongs to no other kind of file, is a folder with a DICOM series.

    Args:
        path: The output's path.

    Raises:
        CtgridError: A suffix of some other kind of file.
    """
    suffix = full_suffix(path)
    if suffix in NIFTI_SUFFIXES:
        return "nifti"
    if suffix in WRITABLE:
        return "itk"
    if suffix in _FOREIGN_SUFFIXES and not path.is_dir():
        raise CtgridError(
            f"cannot write {path}: volumes are written as {', '.join(WRITABLE)}, "
            f"or as a folder with a DICOM series, whose name has no such suffix"
        )
    return "dicom"


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
