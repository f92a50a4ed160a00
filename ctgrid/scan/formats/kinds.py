"""Every file format by its name, the suffixes that they share out, and what a name says is to be written.

A new one is one entry of :data:`FORMATS`, its reader and writer in a package beside this. Nothing is imported before a
file is read or written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import full_suffix
from ctgrid.scan.formats.format import Format, ToWrite, whole_file

if TYPE_CHECKING:
    from ctgrid.scan.formats.stored import StoredScan

NIFTI_SUFFIXES = (".nii", ".nii.gz")
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
"""Of one file of a DICOM series: read where it is named itself."""

_FOREIGN_SUFFIXES = (
    *(".nhdr", ".mhd", ".hdr", ".img", ".raw", ".npy", ".npz", ".h5", ".zarr"),
    *(".gz", ".zip", ".tar", ".tgz", ".7z", ".bz2", ".xz", ".zst"),
    *(".mgz", ".mgh", ".mnc", ".vtk", ".vti", ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".mp4", ".pdf"),
    *(".txt", ".md", ".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".xml", ".html", ".py", ".pt", ".safetensors"),
)


def _read_nifti(path: Path, series: str | None) -> StoredScan:
    from ctgrid.scan.formats.nifti.read import read_nifti

    return read_nifti(path)


def _write_nifti(path: Path, volume: ToWrite, marked: bool) -> None:
    from ctgrid.scan.formats.nifti.read import write_nifti

    write_nifti(path, volume.cast(), volume.affine, volume.template, marked)


def _read_itk(path: Path, series: str | None) -> StoredScan:
    from ctgrid.scan.formats.itk.read import read_itk

    return read_itk(path)


def _write_itk(path: Path, volume: ToWrite, marked: bool) -> None:
    from ctgrid.scan.formats.itk.read import write_itk

    write_itk(path, volume.cast(), volume.affine, marked)


def _read_dicom(path: Path, series: str | None) -> StoredScan:
    from ctgrid.scan.formats.dicom.read import read_dicom

    return read_dicom(path, series, readable())


def _write_dicom(path: Path, volume: ToWrite, overwrite: bool) -> None:
    from ctgrid.scan.formats.dicom.write import write_dicom

    # 16 bits, whatever is asked for
    write_dicom(path, volume.hu, volume.affine, overwrite, volume.record, volume.template)


def _check_dicom(path: Path, overwrite: bool) -> None:
    from ctgrid.scan.formats.dicom.write import check_folder

    check_folder(path, overwrite)


def _is_dicom(path: Path) -> bool:
    """Tell a folder, or a DICOM file by suffix or by content."""
    if path.is_dir() or full_suffix(path) in DICOM_SUFFIXES:
        return True
    from ctgrid.scan.formats.dicom.files import looks_like_dicom

    with path.open("rb") as stream:
        return looks_like_dicom(stream.read(132))


FOLDER = Format("dicom", (".zip",), (), _read_dicom, _write_dicom, _check_dicom, _is_dicom, series=True)
"""What a name without suffix stands for."""

FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        Format("nifti", NIFTI_SUFFIXES, NIFTI_SUFFIXES, _read_nifti, whole_file(_write_nifti)),
        Format("itk", (".nrrd", ".nhdr", ".mha", ".mhd"), (".nrrd", ".mha"), _read_itk, whole_file(_write_itk)),
        FOLDER,
    )
}


def readable() -> tuple[str, ...]:
    """Return the suffixes of files that are scans."""
    return tuple(suffix for each in FORMATS.values() for suffix in each.reads)


def writable() -> tuple[str, ...]:
    """Return the suffixes of files that a volume can be written to."""
    return tuple(suffix for each in FORMATS.values() for suffix in each.writes)


def input_format(path: Path) -> Format | None:
    """Return the format that a path is read as; None where none knows it.

    Args:
        path: a file or folder that exists.
    """
    if not path.is_dir():
        suffix = full_suffix(path)
        told = next((each for each in FORMATS.values() if suffix in each.reads), None)
        if told is not None:
            return told
    return next((each for each in FORMATS.values() if each.recognises(path)), None)


def output_format(path: Path) -> Format:
    """Tell by a name which format is to be written.

    A name without suffix, or with one that belongs to no other kind of file, is a folder with a DICOM series.

    Args:
        path: The output's path.

    Raises:
        CtgridError: A suffix of some other kind of file.
    """
    suffix = full_suffix(path)
    told = next((each for each in FORMATS.values() if suffix in each.writes), None)
    if told is not None:
        return told
    if suffix in _FOREIGN_SUFFIXES and not path.is_dir():
        raise CtgridError(
            f"cannot write {path}: volumes are written as {', '.join(writable())}, "
            f"or as a folder with a DICOM series, whose name has no such suffix"
        )
    return FOLDER


def output_kind(path: Path) -> str:
    """Return the name of :func:`output_format`, and raise as it does."""
    return output_format(path).name
