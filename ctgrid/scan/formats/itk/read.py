"""NRRD and MetaImage through SimpleITK."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctgrid.base.causes import DISK, out_of_memory
from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.scan.formats.itk.header import SPARE, check_metaimage, check_nrrd
from ctgrid.scan.formats.itk.names import itk_readable, itk_writable
from ctgrid.scan.formats.itk.stated import metaimage_stated, nrrd_stated
from ctgrid.scan.formats.quiet import quiet
from ctgrid.scan.formats.stored import MARK, StoredScan, more_than_stated
from ctgrid.scan.geometry import affine_from_lps, check_affine, is_blank, to_lps

if TYPE_CHECKING:
    import SimpleITK

_MARK_KEY = "ctgrid"
_MORE = 1 << 20
_PLACE = re.compile(r"^ITK ERROR: \w+\(0x[0-9a-f]+\): ")  # of an object in memory


def read_itk(path: Path) -> StoredScan:
    """Read one NRRD or MetaImage file.

    Args:
        path: A ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd`` file.

    Raises:
        CtgridError: Damaged, not 3-D, or more than one value per voxel.
    """  # noqa: DOC501
    import SimpleITK as sitk

    is_nrrd = path.suffix.lower() in (".nrrd", ".nhdr")
    fields = (check_nrrd if is_nrrd else check_metaimage)(path)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("NrrdImageIO" if is_nrrd else "MetaImageIO")
    with itk_readable(path, fields.get("ElementDataFile", fields.get("data file", fields.get("datafile")))) as name:
        reader.SetFileName(name)
        try:
            with quiet():
                image = reader.Execute()
        except RuntimeError as error:
            if out_of_memory(error):
                raise MemoryError(f"not enough memory to read {path}") from error
            raise CtgridError(f"{path} cannot be read: {_reason(error)}") from error
    scan = itk_scan(image, path, "nrrd" if is_nrrd else "metaimage")
    stated = nrrd_stated(path, fields, scan.values.dtype) if is_nrrd else metaimage_stated(path, fields)
    warnings = [*stated.details.get("warnings", []), *more_than_stated(int(fields[SPARE]))]
    affine = scan.affine.copy()
    affine[:3] *= np.array(stated.mm)[:, None]
    return replace(
        scan,
        affine=check_affine(affine, str(path)),
        slope=stated.slope,
        intercept=stated.intercept,
        details={**scan.details, **stated.details, **({"warnings": warnings} if warnings else {})},
        blank=is_blank(affine) and (not stated.spacing_said or not affine[:3, 3].any()),
    )


def write_itk(path: Path, values: np.ndarray, affine: np.ndarray, marked: bool = True) -> None:
    """Write values as they are, compressed; a sheared affine is kept.

    Args:
        path: A ``.nrrd`` or ``.mha`` file, replaced where it exists.
        values: (z, y, x) in the dtype to be stored.
        affine: (4, 4) voxel (x, y, z) to RAS+ mm.
        marked: Whether the values are sure to be HU, so that the file says so.

    Raises:
        OSError: The system refuses, for its own reason.
        CtgridError: The file cannot be written.
    """
    import SimpleITK as sitk

    image = itk_image(values, affine, marked)
    with itk_writable(path) as name:
        try:
            with quiet():
                sitk.WriteImage(image, name, True)
        except RuntimeError as error:
            refusal = _refusal(Path(name), str(error))
            if refusal is not None or out_of_memory(error):
                raise (refusal or MemoryError(f"not enough memory to write {path}")) from error
            raise CtgridError(f"cannot write {path}: {_reason(error)}") from error


def itk_image(values: np.ndarray, affine: np.ndarray, marked: bool = True) -> SimpleITK.Image:
    """Make an image in memory; arguments as of :func:`write_itk`."""
    import SimpleITK as sitk

    columns = to_lps(affine)
    spacing = np.linalg.norm(columns[:3, :3], axis=0)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((columns[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(columns[:3, 3].tolist())
    if marked:
        image.SetMetaData(_MARK_KEY, MARK)
    return image


def itk_scan(image: SimpleITK.Image, path: Path, name: str) -> StoredScan:
    """Take the voxels and the affine of an image in memory.

    Args:
        image: Of three dimensions, or more of length 1.
        path: What to name in an error.
        name: Of its format.

    Raises:
        CtgridError: Another number of dimensions, more than one value per voxel, or a broken affine.
    """
    import SimpleITK as sitk

    kind = image.GetPixelIDTypeAsString()
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise CtgridError(f"{path} holds {kind} voxels; a CT has one real number for each")
    details = {"written_by_ctgrid": True} if _marked(image) else {}
    while image.GetDimension() > 3 and image.GetSize()[-1] == 1:
        image = image[..., 0]
    if image.GetDimension() != 3:
        raise CtgridError(f"{path} has shape {image.GetSize()}; a CT volume has three dimensions")
    values = sitk.GetArrayFromImage(image)
    if values.dtype.kind not in "iuf":
        raise CtgridError(f"{path} holds {kind} voxels; a CT has one real number for each")
    affine = affine_from_lps(image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    return StoredScan(values, check_affine(affine, str(path)), name, details=details)


def _marked(image: SimpleITK.Image) -> bool:
    return bool(image.HasMetaDataKey(_MARK_KEY) and image.GetMetaData(_MARK_KEY).strip() == MARK)


def _refusal(path: Path, message: str) -> OSError | None:
    """Return the system's reason why a file could not be written, which ITK tells of one format and not of others."""
    for number in DISK:
        if re.search(rf"Reason: {re.escape(os.strerror(number))}\s*$", message):
            return OSError(number, os.strerror(number))
    try:
        with path.open("ab") as stream:  # go on where ITK could not
            stream.write(bytes(_MORE))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        return OSError(error.errno, error.strerror)
    return None


def _reason(error: RuntimeError) -> str:
    """Return the last line that says something: ITK's messages start with source paths."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and lines[-1].startswith("Reason:"):  # of the operating system's, for whatever MetaIO dislikes
        return "its header or its data are damaged"
    return reason_of(RuntimeError(_PLACE.sub("", lines[-1]) if lines else "no reason given"))
