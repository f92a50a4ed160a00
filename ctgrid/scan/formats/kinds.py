"""Which suffix belongs to which format, and what a name says is to be written."""

from __future__ import annotations

from pathlib import Path

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import full_suffix

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
