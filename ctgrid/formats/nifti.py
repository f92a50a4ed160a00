"""NIfTI-1 and NIfTI-2 through nibabel."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.errors import CtgridError
from ctgrid.files import full_suffix
from ctgrid.formats import StoredScan
from ctgrid.geometry import check_affine


def read_nifti(path: Path) -> StoredScan:
    """Read stored values (no scaling applied), the header's scaling and the affine.

    The affine is the sform where its code is set, else the qform (the standard's methods 3 and 2), else
    the pixel sizes (method 1).

    Args:
        path: A ``.nii`` or ``.nii.gz`` file.

    Raises:
        CtgridError: Not a NIfTI file, truncated, not 3-D, not real numbers, or a broken affine.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        image = nibabel.load(path)
    except (ImageFileError, HeaderDataError, OSError, EOFError, zlib.error, ValueError) as error:
        raise CtgridError(f"{path} is not a readable NIfTI file: {_one_line(error)}") from error
    if not isinstance(image, (nibabel.Nifti1Image, nibabel.Nifti2Image)):
        raise CtgridError(f"{path} is not a NIfTI file but {type(image).__name__}")
    dtype = image.get_data_dtype()
    if dtype.kind not in "iuf":
        what = "RGB" if dtype.names else "complex" if dtype.kind == "c" else str(dtype)
        raise CtgridError(f"{path} holds {what} voxels; a CT has one real number for each")
    shape = image.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or 0 in shape:
        raise CtgridError(f"{path} has shape {image.shape}; a CT volume has three dimensions")
    affine = check_affine(image.affine, str(path))
    try:
        values = _unscaled(path, image)
    except (OSError, EOFError, zlib.error, ValueError, OverflowError, MemoryError) as error:
        raise CtgridError(f"{path} is truncated or damaged: {_one_line(error)}") from error
    proxy: Any = image.dataobj
    slope, intercept = float(proxy.slope), float(proxy.inter)
    if not np.isfinite([slope, intercept]).all():
        raise CtgridError(f"{path}: scl_slope {slope}, scl_inter {intercept} are not finite; fix the header")
    values = values.reshape(shape, order="F").transpose(2, 1, 0)
    return StoredScan(values.astype(dtype.newbyteorder("="), copy=False), affine, "nifti", slope, intercept)


def write_nifti(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    """Write values as they are: slope 1, intercept 0, sform = qform, millimetres.

    Two writes of equal volumes give equal bytes, compressed or not. A sheared affine fits the sform
    alone; the qform then holds the nearest rotation, as the standard says.

    Args:
        path: A ``.nii`` or ``.nii.gz`` file, replaced where it exists.
        values: (z, y, x) in the dtype to be stored.
        affine: (4, 4) voxel (x, y, z) to RAS+ mm.
    """
    import nibabel

    image = nibabel.Nifti1Image(values.transpose(2, 1, 0), affine, dtype=values.dtype)
    image.header.set_xyzt_units("mm")
    image.header.set_slope_inter(1.0, 0.0)
    image.set_qform(affine, code="scanner")
    image.set_sform(affine, code="scanner")
    nibabel.save(image, path)


def _unscaled(path: Path, image: Any) -> np.ndarray:
    """Read the stored values; of a compressed file the whole stream, so that its checksum is verified."""
    if full_suffix(path) != ".nii.gz":
        return np.asanyarray(image.dataobj.get_unscaled())
    with gzip.open(path, "rb") as stream:
        values = np.asanyarray(type(image).from_stream(stream).dataobj.get_unscaled())
        while stream.read(1 << 20):
            pass
    return values


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
