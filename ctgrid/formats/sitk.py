"""DICOM series, NRRD and MetaImage through SimpleITK."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ctgrid.errors import CtgridError
from ctgrid.formats import StoredScan
from ctgrid.geometry import affine_from_lps, check_affine

if TYPE_CHECKING:
    import SimpleITK


def read_dicom_folder(path: Path) -> StoredScan:
    """Read the largest series of a folder; slices are ordered by position, spacing follows from them.

    The reader applies each slice's rescale slope and intercept, so the values are HU.

    Args:
        path: A folder that holds the files of one or several series directly.

    Raises:
        CtgridError: No series, or one that cannot be read as a 3-D volume of one value per voxel.
    """
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    try:
        with _no_warnings():
            uids = reader.GetGDCMSeriesIDs(str(path))
            names = [reader.GetGDCMSeriesFileNames(str(path), uid) for uid in uids]
            files = max(names, key=len, default=())
            if not files:
                raise CtgridError(f"{path} holds no DICOM series (subfolders are not searched)")
            reader.SetFileNames(files)
            image = reader.Execute()
    except RuntimeError as error:
        raise CtgridError(f"{path} holds no readable DICOM series: {_reason(error)}") from error
    return _scan(image, path, "dicom", {"files": len(files), "series_in_folder": len(names)})


def read_itk(path: Path) -> StoredScan:
    """Read one NRRD or MetaImage file.

    Args:
        path: A ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd`` file.

    Raises:
        CtgridError: Damaged, not 3-D, or more than one value per voxel.
    """
    import SimpleITK as sitk

    try:
        with _no_warnings():
            image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise CtgridError(f"{path} cannot be read: {_reason(error)}") from error
    return _scan(image, path, "nrrd" if path.suffix.lower() in (".nrrd", ".nhdr") else "metaimage", {})


def _scan(image: SimpleITK.Image, path: Path, name: str, details: dict[str, int]) -> StoredScan:
    import SimpleITK as sitk

    kind = image.GetPixelIDTypeAsString()
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise CtgridError(f"{path} holds {kind} voxels; a CT has one real number for each")
    while image.GetDimension() > 3 and image.GetSize()[-1] == 1:
        image = image[..., 0]
    if image.GetDimension() != 3:
        raise CtgridError(f"{path} has shape {image.GetSize()}; a CT volume has three dimensions")
    values = sitk.GetArrayFromImage(image)
    if values.dtype.kind not in "iuf":
        raise CtgridError(f"{path} holds {kind} voxels; a CT has one real number for each")
    affine = affine_from_lps(image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    return StoredScan(values, check_affine(affine, str(path)), name, details=dict(details))


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Keep ITK from writing to stderr; what matters arrives as an exception."""
    import SimpleITK as sitk

    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.GlobalWarningDisplayOff()
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def _reason(error: RuntimeError) -> str:
    """Return the last line that says something: ITK's messages start with source paths."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
