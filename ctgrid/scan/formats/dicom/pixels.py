"""Decode the pixels of one DICOM file to HU, each slice by its own map, padding as air."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.limits import check_bytes
from ctgrid.scan.formats.dicom.encoded import Stored, low_bits, one_reason
from ctgrid.scan.formats.dicom.guarded import LONGEST_HEADER, AfterPixels, Guarded
from ctgrid.scan.formats.dicom.header import Frame, Header
from ctgrid.scan.formats.dicom.padding import Padding, is_low, padding_of, to_air

if TYPE_CHECKING:
    from pydicom import Dataset

# pydicom decodes these by itself, to the stored bits; all others go through GDCM
_PLAIN = ("", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
_RLE = "1.2.840.10008.1.2.5"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_HIGHEST_HU = 32767
BITS_ABOVE = "bits above BitsStored are set and were left out, as overlays are"
_MOST_COMPRESSED = 2000  # decoded bytes per byte of file
_SMALL = 16 << 20
_MOST_BYTES = 4  # of a pixel


@dataclass(frozen=True, eq=False)
class Decoded:
    """One slice.

    Attributes:
        hu: (rows, columns); int16 where that is exact, else int32 or float32.
        padded: Number of pixels of padding that were set to air.
        remarks: What is unusual about the values' encoding.
    """

    hu: np.ndarray
    padded: int
    remarks: tuple[str, ...]


def decode(header: Header, where: str, scratch: Path) -> dict[int, Decoded]:
    """Return a file's slices in HU, by their number in the file.

    Args:
        header: The file's header.
        where: What is read, for messages.
        scratch: A folder for short-lived files.

    Raises:
        CtgridError: The file is truncated or damaged, its compression cannot be decoded, or its values have no HU.
    """
    shape = (header.count, header.rows, header.columns)
    dataset = _whole(header, where)
    if header.syntax in _PLAIN and dataset.BitsAllocated == 16:
        stored = _plain(dataset, header, shape, where)
    elif header.syntax in (*_PLAIN, _RLE):
        stored = Stored(_by_pydicom(dataset, header, shape, where))
    else:
        from ctgrid.scan.formats.dicom.gdcm import by_gdcm

        _check_compressed(len(dataset.PixelData), _bytes(shape, dataset), header.file.name, where)
        stored = by_gdcm(dataset, header, shape, where, scratch)
    padding = padding_of(dataset)
    return {
        frame.number: _in_hu(stored, frame, dataset, padding, f"{where}: {header.file.name}") for frame in header.frames
    }


def _in_hu(stored: Stored, frame: Frame, dataset: Dataset, padding: Padding | None, where: str) -> Decoded:
    plane, meaning = stored.values[frame.number], frame.meaning
    hu = _by_table(plane, dataset, where) if meaning.table else rescale(plane, *(meaning.rescale or (1.0, 0.0)))
    padded = None
    sure = not meaning.table and meaning.limits is None and stored.words is None
    if padding is not None and not (sure and is_low(padding, meaning.rescale or (1.0, 0.0))):
        padded = padding.inside(plane, None if stored.words is None else stored.words[frame.number])
    if meaning.limits is not None:
        mapped = (plane >= min(meaning.limits)) & (plane <= max(meaning.limits))
        if not (mapped if padded is None else mapped | padded).all():
            raise CtgridError(
                f"{where} holds values beyond {meaning.limits[0]:g} to {meaning.limits[1]:g}, for which alone "
                f"RealWorldValueMappingSequence gives HU; export it with RescaleSlope and RescaleIntercept"
            )
    count = 0 if padded is None else to_air(hu, padded)
    return Decoded(narrow(hu), count, stored.remarks)


def _by_table(plane: np.ndarray, dataset: Dataset, where: str) -> np.ndarray:
    """Apply ModalityLUTSequence; its output is unsigned by PS3.3 C.11.1.1.1."""
    from pydicom.pixels import apply_modality_lut

    with one_reason(f"{where}: its ModalityLUTSequence cannot be applied, it is damaged"):
        hu = apply_modality_lut(plane, dataset).astype(np.int64)
    if hu.max() > _HIGHEST_HU:
        raise CtgridError(
            f"{where}: its ModalityLUTSequence gives values up to {hu.max()}, which are no HU; "
            f"export the series with RescaleSlope and RescaleIntercept"
        )
    return hu


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


def _whole(header: Header, where: str) -> Dataset:
    """Read the file with its pixels, still encoded, and check what all decoders rely on."""
    from pydicom.filereader import read_partial
    from pydicom.uid import ImplicitVRLittleEndian

    name = header.file.name
    pixels = _MOST_BYTES * header.count * header.rows * header.columns
    check_bytes(pixels // 2, f"{where}: the pixels that the header of {name} claims make")
    most = LONGEST_HEADER + 2 * pixels  # compressed ones may be a little larger than plain ones
    with header.file.open() as stream, one_reason(f"{where}: {name} cannot be read"):
        dataset = read_partial(cast(BinaryIO, Guarded(stream, most)), AfterPixels(), force=True)
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


def _bytes(shape: tuple[int, int, int], dataset: Dataset) -> int:
    return int(np.prod(shape, dtype=np.int64)) * int(dataset.BitsAllocated) // 8


def _plain(dataset: Dataset, header: Header, shape: tuple[int, int, int], where: str) -> Stored:
    """Take 16-bit words; bits above BitsStored are no part of a value, but overlays of old (PS3.5 8.1.1)."""
    needed = _bytes(shape, dataset)
    _check_size(len(dataset.PixelData), needed, header, where)
    order = ">" if header.syntax == _BIG_ENDIAN else "<"
    words = np.frombuffer(dataset.PixelData, f"{order}u2", needed // 2).reshape(shape).astype(np.uint16, copy=False)
    bits, signed = int(dataset.BitsStored), dataset.PixelRepresentation == 1
    if bits == 16:
        return Stored(words.view(np.int16) if signed else words)
    values = low_bits(words, bits, signed)
    whole = values.view(np.uint16)
    above = (words != whole) & (words >> bits != 0)
    if not above.any():
        return Stored(values)
    padding = padding_of(dataset)
    if padding is not None:
        above &= ~padding.inside(values, words)
    return Stored(values, words, (BITS_ABOVE,) if above.any() else ())


def _by_pydicom(dataset: Dataset, header: Header, shape: tuple[int, int, int], where: str) -> np.ndarray:
    name = header.file.name
    _check_size(len(dataset.PixelData), _bytes(shape, dataset), header, where)
    with one_reason(f"{where}: {name} cannot be decoded, it is damaged"):
        array = dataset.pixel_array
    if array.size != np.prod(shape, dtype=np.int64):
        raise CtgridError(f"{where}: {name} holds {array.shape} pixels, its header says {shape}; it is damaged")
    return array.reshape(shape)  # a single frame comes without its axis


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
