"""Decode the pixels of one DICOM file to HU, each slice by its own rescale slope and intercept."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np

from ctgrid.errors import CtgridError
from ctgrid.formats import reason_of
from ctgrid.formats.codestream import picture
from ctgrid.formats.dicom_header import AfterPixels, Header, ZeroGuard
from ctgrid.formats.quiet import quiet, quiet_logger

if TYPE_CHECKING:
    from pydicom import Dataset

# pydicom decodes these by itself, to the stored bits; all others go through GDCM
_PLAIN = ("", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
_RLE = "1.2.840.10008.1.2.5"
_MOST_COMPRESSED = 2000  # decoded bytes per byte of file
_SMALL = 16 << 20


def decode(header: Header, where: str, scratch: Path) -> np.ndarray:
    """Return a file's slices in HU: int16 where that is exact, else int32 or float32.

    Args:
        header: The file's header.
        where: What is read, for messages.
        scratch: A folder for short-lived files.

    Returns:
        (frames, rows, columns).

    Raises:
        CtgridError: The file is truncated or damaged, or its compression cannot be decoded.
    """
    shape = (len(header.frames), header.rows, header.columns)
    if header.syntax in (*_PLAIN, _RLE):
        raw = _by_pydicom(header, shape, where)
    else:
        raw = _by_gdcm(header, shape, where, scratch)
    maps = [frame.rescale or (1.0, 0.0) for frame in header.frames]
    hu = np.stack([narrow(rescale(plane, *own)) for plane, own in zip(raw, maps, strict=True)])
    return hu.astype(np.float32) if hu.dtype == np.float64 else hu  # some slices in int32, some in float32


def rescale(plane: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Apply slope and intercept: integers stay integers where both are whole numbers.

    Args:
        plane: (rows, columns), as stored.
        slope: HU per stored unit.
        intercept: HU at stored value 0.
    """
    if slope.is_integer() and intercept.is_integer() and plane.dtype.kind in "iu" and abs(slope) < 1e6:
        return plane.astype(np.int64) * int(slope) + int(intercept)
    return plane.astype(np.float64) * slope + intercept


def narrow(values: np.ndarray) -> np.ndarray:
    """Take the smallest of int16, int32 and float32 that holds whole numbers exactly; float32 for others.

    Args:
        values: Any shape; integers or float.
    """
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    low, high = int(values.min()), int(values.max())
    for dtype in (np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return values.astype(dtype, copy=False)
    return values.astype(np.float32)


def syntax_name(uid: str) -> str:
    """Return what a transfer syntax is called, or its UID where it has no name.

    Args:
        uid: Transfer syntax UID.
    """
    from pydicom.uid import UID

    return UID(uid).name if uid else "none stated"


def _whole(header: Header, where: str) -> Dataset:
    """Read the file with its pixels, still encoded, and check what all decoders rely on."""
    from pydicom.filereader import read_partial
    from pydicom.uid import ImplicitVRLittleEndian

    name = header.file.name
    with header.file.open() as stream, _one_reason(f"{where}: {name} cannot be read"):
        dataset = read_partial(cast(BinaryIO, ZeroGuard(stream)), AfterPixels(), force=True)
        if not header.syntax:
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        if not dataset.get("PixelData"):
            raise CtgridError(f"{where}: {name} ends before its pixels; the file is truncated")
        allocated, stored, high = dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit
        if dataset.get("PixelRepresentation") not in (0, 1):
            raise CtgridError(f"{where}: {name} does not say whether its pixels are signed; it is damaged")
        if allocated not in (8, 16, 32) or not 1 <= stored <= allocated or high != stored - 1:
            raise CtgridError(
                f"{where}: {name} has {allocated} bits allocated, {stored} stored, high bit {high}; damaged"
            )
    return dataset


def _by_pydicom(header: Header, shape: tuple[int, int, int], where: str) -> np.ndarray:
    name, dataset = header.file.name, _whole(header, where)
    needed = int(np.prod(shape, dtype=np.int64)) * dataset.BitsAllocated // 8
    _check_size(len(dataset.PixelData), needed, header, where)
    with _one_reason(f"{where}: {name} cannot be decoded, it is damaged"):
        array = dataset.pixel_array
    if array.size != np.prod(shape, dtype=np.int64):
        raise CtgridError(f"{where}: {name} holds {array.shape} pixels, its header says {shape}; it is damaged")
    return array.reshape(shape)  # a single frame comes without its axis


@contextmanager
def _one_reason(what: str) -> Iterator[None]:
    """Turn whatever pydicom raises on damaged files, which is almost anything, into one line."""
    with quiet_logger("pydicom"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (CtgridError, MemoryError):
            raise
        except Exception as error:
            raise CtgridError(f"{what}: {reason_of(error)}") from error


def _check_size(size: int, needed: int, header: Header, where: str) -> None:
    """Compare the bytes of pixels with what the header asks for, before anything is allocated."""
    name = header.file.name
    if header.syntax == _RLE:
        _check_compressed(size, needed, name, where)
    elif size < needed:
        raise CtgridError(f"{where}: {name} is truncated: {size} bytes of pixels, {needed} needed")
    elif size - needed > 2 * header.columns:
        raise CtgridError(f"{where}: {name} holds {size} bytes of pixels, its header asks for {needed}; it is damaged")


def _check_compressed(size: int, needed: int, name: str, where: str) -> None:
    if needed > max(_SMALL, size * _MOST_COMPRESSED):
        raise CtgridError(f"{where}: {name} claims {needed >> 20} MiB of pixels in {size} bytes; its header is damaged")


def _by_gdcm(header: Header, shape: tuple[int, int, int], where: str, scratch: Path) -> np.ndarray:
    """Decode through SimpleITK, frame by frame, each in a small clean file of its own.

    GDCM thus meets neither the rest of a damaged header nor MONOCHROME1, which ITK would turn into its negative.
    """
    from pydicom.encaps import generate_frames

    dataset = _whole(header, where)
    damaged = (
        f"{where}: {header.file.name} cannot be decoded, it is damaged or its compression "
        f"({syntax_name(header.syntax)}) is not supported; decompress it with gdcmconv --raw"
    )
    bits = dataset.BitsAllocated
    needed = int(np.prod(shape, dtype=np.int64)) * bits // 8
    _check_compressed(len(dataset.PixelData), needed, header.file.name, where)
    with _one_reason(damaged):
        frames = list(generate_frames(dataset.PixelData, number_of_frames=shape[0]))
    if len(frames) != shape[0] or bits > 16:
        raise CtgridError(damaged)
    planes = []
    for frame in frames:
        said = picture(frame)  # decoders may crash where this contradicts the file
        if said is None or said[:3] != (*shape[1:], 1) or not 2 <= said[3] <= bits:
            raise CtgridError(damaged)
        try:
            planes.append(_frame_by_gdcm(scratch / "frame.dcm", frame, dataset).reshape(shape[1:]))
        except (RuntimeError, ValueError) as error:
            raise CtgridError(damaged) from error
    if any(plane.dtype.kind not in "iu" for plane in planes):
        raise CtgridError(damaged)
    return np.stack(planes)


def _frame_by_gdcm(path: Path, frame: bytes, dataset: Dataset) -> np.ndarray:
    import SimpleITK as sitk
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import SecondaryCaptureImageStorage

    clean = Dataset()
    clean.file_meta = FileMetaDataset()
    clean.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    clean.SOPClassUID, clean.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    clean.SamplesPerPixel, clean.PhotometricInterpretation = 1, "MONOCHROME2"
    for name in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        setattr(clean, name, int(dataset[name].value))
    clean.PixelData = encapsulate([frame], has_bot=False)
    clean["PixelData"].is_undefined_length = True
    clean["PixelData"].VR = "OB"
    clean.save_as(path, enforce_file_format=True)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    with quiet():
        return sitk.GetArrayFromImage(reader.Execute())
