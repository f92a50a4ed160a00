"""Readers and writers of image files; each gives or takes stored values and an affine.

A format module knows nothing of HU: it hands over the numbers as stored, together with the linear
map that its own header states, and :mod:`ctgrid.preprocess.hu` decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.errors import CtgridError
from ctgrid.files import full_suffix

NIFTI_SUFFIXES = (".nii", ".nii.gz")
ITK_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
READABLE = (*NIFTI_SUFFIXES, *ITK_SUFFIXES)


@dataclass(frozen=True, eq=False)
class StoredScan:
    """What a file holds, before anyone decided what its numbers mean.

    Attributes:
        values: (z, y, x), the stored numbers.
        affine: (4, 4) voxel (x, y, z) to RAS+ mm.
        format: "nifti", "dicom", "nrrd" or "metaimage".
        slope: The header's own slope (already applied by the DICOM reader: 1).
        intercept: The header's own intercept.
        details: What else belongs into the record, JSON-able.
    """

    values: np.ndarray
    affine: np.ndarray
    format: str
    slope: float = 1.0
    intercept: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)


def read_stored(path: Path) -> StoredScan:
    """Read a scan with the reader that its name asks for.

    Args:
        path: A ``.nii``, ``.nii.gz``, ``.nrrd``, ``.mha`` or ``.mhd`` file, or a folder with a DICOM series.

    Raises:
        CtgridError: The path is missing, of an unknown kind, or damaged.
    """
    if not path.exists():
        raise CtgridError(f"{path} does not exist")
    if path.is_dir():
        from ctgrid.formats.sitk import read_dicom_folder

        return read_dicom_folder(path)
    suffix = full_suffix(path)
    if suffix in NIFTI_SUFFIXES:
        from ctgrid.formats.nifti import read_nifti

        return read_nifti(path)
    if suffix in ITK_SUFFIXES:
        from ctgrid.formats.sitk import read_itk

        return read_itk(path)
    raise CtgridError(
        f"{path}: cannot read files of type {suffix or '(no suffix)'!r}; "
        f"give one of {', '.join(READABLE)}, or a folder with a DICOM series"
    )
