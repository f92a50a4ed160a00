"""NIfTI-1 and NIfTI-2 through nibabel."""

from __future__ import annotations

import gzip
import io
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.base.causes import out_of_memory, reading
from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.base.files import full_suffix
from ctgrid.base.limits import check_bytes
from ctgrid.scan.formats.nifti.geometry import nifti_geometry
from ctgrid.scan.formats.nifti.gz import unpack_gzip, unpacked_blocks
from ctgrid.scan.formats.nifti.intent import not_hu_by_intent
from ctgrid.scan.formats.quiet import quiet_logger
from ctgrid.scan.formats.stored import MARK, StoredScan, more_than_stated
from ctgrid.scan.geometry import axis_codes, spacing_mm

_DEFLATE = 1032  # zlib's limit of decoded bytes per byte
_LONGEST_HEADER = 1 << 20  # with its extensions
_COMMENT = 6  # the extension code of plain text
_GRID_MM = 1e-3


def read_nifti(path: Path) -> StoredScan:
    """Read stored values (no scaling applied), the header's scaling and the affine.

    The affine is found by :func:`ctgrid.scan.formats.nifti.geometry.nifti_geometry`; metres and microns are turned into
    millimetres.

    Args:
        path: A ``.nii`` or ``.nii.gz`` file.

    Raises:
        CtgridError: Not a NIfTI file, truncated, not 3-D, not real numbers, or a broken affine.
    """
    image = _load(path)
    with reading(path, "a readable NIfTI file"):
        return _read(path, image)


def _read(path: Path, image: Any) -> StoredScan:
    """Read the values of an image whose header was taken."""
    dtype = image.get_data_dtype()
    if dtype.kind not in "iuf":
        what = "RGB" if dtype.names else "complex" if dtype.kind == "c" else str(dtype)
        raise CtgridError(f"{path} holds {what} voxels; a CT has one real number for each")
    shape = image.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or min(shape) < 1:
        raise CtgridError(f"{path} has shape {image.shape}; a CT volume has three dimensions")
    written = _as_written(path, image)
    geometry = nifti_geometry(path, image, written["pixdim"][1:4])
    warnings = geometry.warnings + _ignored_intercept(written)
    needed = math.prod(shape) * dtype.itemsize
    if needed > path.stat().st_size * (_DEFLATE if is_packed(path) else 1):
        raise CtgridError(
            f"{path} is truncated or damaged: its header asks for {needed} bytes of voxels, there is less"
        )
    check_bytes(needed, f"{path}: its header asks for")
    try:
        values, behind = _unscaled(path, image, shape)
    except Exception as error:
        if out_of_memory(error):
            raise MemoryError(f"not enough memory to read {path}") from error
        raise CtgridError(f"{path} is truncated or damaged: {reason_of(error)}") from error
    warnings += more_than_stated(behind * shape[2] // needed)
    proxy: Any = image.dataobj
    slope, intercept = float(proxy.slope), float(proxy.inter)
    if not np.isfinite([slope, intercept]).all():
        raise CtgridError(f"{path}: scl_slope {slope}, scl_inter {intercept} are not finite; fix the header")
    not_hu = not_hu_by_intent(image.header)
    told = {"notes": geometry.notes, "warnings": warnings, "not_hu": not_hu}
    details: dict[str, Any] = {key: value for key, value in told.items() if value}
    if _marked(image.header) and (slope, intercept) == (1.0, 0.0):
        details["written_by_ctgrid"] = True
    values = values.reshape(shape, order="F").transpose(2, 1, 0)
    values = values.astype(dtype.newbyteorder("="), copy=False)
    return StoredScan(values, geometry.affine, "nifti", slope, intercept, details, blank=geometry.blank)


def write_nifti(
    path: Path, values: np.ndarray, affine: np.ndarray, template: Path | None = None, marked: bool = True
) -> None:
    """Write values as they are: slope 1, intercept 0, sform = qform, millimetres.

    Two writes of equal volumes give equal bytes, compressed or not. A sheared affine fits the sform
    alone; the qform then holds the nearest rotation, as the standard says.

    Args:
        path: A ``.nii`` or ``.nii.gz`` file, replaced where it exists.
        values: (z, y, x) in the dtype to be stored.
        affine: (4, 4) voxel (x, y, z) to RAS+ mm.
        template: A NIfTI file on the same grid. All of its header is kept, codes, units, texts and extensions,
            but for the number format and its scaling. Where the grid is another one it has no effect.
        marked: Whether the values are sure to be HU, so that the file says so.
    """
    import nibabel

    like = _load(template) if template is not None and full_suffix(template) in (".nii", ".nii.gz") else None
    array = values.transpose(2, 1, 0)
    if like is not None and _same_grid(like, array.shape, affine, template):
        header = like.header.copy()
        header.set_data_dtype(values.dtype)
        header.set_slope_inter(1.0, 0.0)
        if marked and not _marked(header):
            header.extensions.append(nibabel.nifti1.Nifti1Extension(_COMMENT, MARK.encode("ascii")))
        image = type(like)(array.reshape(like.shape), None, header)
        image.header.set_slope_inter(1.0, 0.0)
    else:
        image = nifti_image(values, affine, marked)
    nibabel.save(image, path)


def nifti_image(values: np.ndarray, affine: np.ndarray, marked: bool = True) -> Any:
    """Make an image in memory, a view of the values; arguments as of :func:`write_nifti`.

    Its header holds the affine as float32, as the format does; ``image.affine`` is exact.
    """
    import nibabel

    image = nibabel.Nifti1Image(values.transpose(2, 1, 0), affine, dtype=values.dtype)
    image.header.set_xyzt_units("mm")
    image.header.set_slope_inter(1.0, 0.0)
    if marked:
        image.header["descrip"] = MARK.encode("ascii")
    image.set_qform(affine, code="scanner", update_affine=False)
    image.set_sform(affine, code="scanner", update_affine=False)
    return image


def slices_in(path: Path) -> int:
    """Return the number of slices that a file's header states, without reading voxels.

    Args:
        path: A ``.nii`` or ``.nii.gz`` file.

    Raises:
        CtgridError: Not a NIfTI file, or not of three dimensions.
    """
    return _grid_of(path, _load(path))[2]


def field_in(path: Path) -> float:
    """Return the longer side in mm of the axial slices that a file's header states, without reading voxels.

    Args:
        path: A ``.nii`` or ``.nii.gz`` file.

    Raises:
        CtgridError: Not a NIfTI file, not of three dimensions, or its affine is no grid.
    """
    image = _load(path)
    grid = _grid_of(path, image)
    affine = nifti_geometry(path, image, _as_written(path, image)["pixdim"][1:4]).affine
    sizes = zip(grid, reversed(spacing_mm(affine)), axis_codes(affine), strict=True)
    return max(count * spacing for count, spacing, code in sizes if code not in "SI")


def _grid_of(path: Path, image: Any) -> tuple[int, int, int]:
    """Return the voxels (x, y, z) that a header states."""
    if len(image.shape) < 3:
        raise CtgridError(f"{path} has shape {image.shape}; a CT volume has three dimensions")
    x, y, z = image.shape[:3]
    return int(x), int(y), int(z)


def is_packed(path: Path) -> bool:
    """Tell whether a file's content is gzip, whatever its name says.

    Args:
        path: A file.
    """
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _load(path: Path) -> Any:
    """Read a file's header, at most a mebibyte of it; that it is (un)compressed is told by its content."""
    import nibabel

    try:
        with quiet_logger("nibabel.global"):
            head = _head(path)
            nifti2 = b"n+2" in head[4:8]
            image: Any = (nibabel.Nifti2Image if nifti2 else nibabel.Nifti1Image).from_stream(io.BytesIO(head))
    except Exception as error:  # of a damaged header nibabel raises almost anything
        if out_of_memory(error):
            raise
        reason = "it holds no NIfTI header" if "Binary block" in str(error) else reason_of(error)
        raise CtgridError(f"{path} is not a readable NIfTI file: {reason}") from error
    return image


def _head(path: Path) -> bytes:
    """Return a file's first bytes, unpacked; of one that is damaged further on, those before."""
    if not is_packed(path):
        with path.open("rb") as stream:
            return stream.read(_LONGEST_HEADER)
    head = b""
    try:
        for block in unpacked_blocks(path):
            head += block
            if len(head) >= _LONGEST_HEADER:
                break
    except (EOFError, zlib.error):
        if not head:
            raise
    return head[:_LONGEST_HEADER]


def _as_written(path: Path, image: Any) -> Any:
    """Return the header as it lies in the file, and refuse what nibabel mends without a word.

    To nibabel a pixel size of 0 becomes 1 mm, an infinite slope becomes 1.

    Raises:
        CtgridError: for a header that has to be mended by its owner.
    """
    kind = type(image.header)
    with gzip.open(path, "rb") if is_packed(path) else path.open("rb") as stream:
        header = kind(stream.read(kind.template_dtype.itemsize), image.header.endianness, check=False)
    sizes, slope = header["pixdim"][1:4], float(header["scl_slope"])
    if header["sform_code"] <= 0 and (sizes == 0).any():
        raise CtgridError(f"{path}: voxel spacing {sizes.tolist()} mm (x, y, z) has a zero; fix the header")
    if math.isinf(slope):
        raise CtgridError(f"{path}: scl_slope {slope} is not finite; fix the header")
    return header


def _ignored_intercept(header: Any) -> list[str]:
    """Say where an intercept is stated that does not hold: a slope of 0, or none, means no scaling at all."""
    slope, intercept = (float(header[key]) for key in ("scl_slope", "scl_inter"))
    if not (slope == 0 or math.isnan(slope)) or intercept == 0 or not math.isfinite(intercept):
        return []
    return [f"its scl_slope is {slope:g}, which means no scaling, so scl_inter {intercept:g} was not applied"]


def _same_grid(like: Any, shape: tuple[int, ...], affine: np.ndarray, path: Path | None) -> bool:
    """Tell whether a header describes this grid: same size, and no corner further away than float32 rounds."""
    if tuple(like.shape[:3]) != shape or any(n != 1 for n in like.shape[3:]):
        return False
    theirs = nifti_geometry(Path(str(path)), like, like.header["pixdim"][1:4]).affine
    corners = np.array([[x, y, z, 1.0] for x in (0, shape[0]) for y in (0, shape[1]) for z in (0, shape[2])])
    return bool(np.abs(corners @ (theirs - affine).T).max() < _GRID_MM)


def _marked(header: Any) -> bool:
    """Tell whether ctgrid wrote this header: by its description, or a comment beside a kept description."""
    if bytes(header["descrip"].tobytes()).rstrip(b"\0 ") == MARK.encode("ascii"):
        return True
    texts = (e.get_content() for e in header.extensions if e.get_code() == _COMMENT)
    return any(t == MARK or t == MARK.encode("ascii") for t in texts)


def _unscaled(path: Path, image: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """Read the stored values; of a compressed file the whole stream, so that its checksum is verified.

    Returns:
        The values, and how many bytes lie behind them.

    Raises:
        EOFError: where there are fewer.
    """
    dtype, start = image.get_data_dtype(), int(image.dataobj.offset)
    if is_packed(path):
        packed, behind = unpack_gzip(path, start, math.prod(shape) * dtype.itemsize)
        return packed.view(dtype), behind
    values = np.fromfile(path, dtype, math.prod(shape), offset=start)
    if values.size < math.prod(shape):
        raise EOFError(f"{values.nbytes} bytes of voxels, {math.prod(shape) * dtype.itemsize} needed")
    return values, path.stat().st_size - start - values.nbytes
