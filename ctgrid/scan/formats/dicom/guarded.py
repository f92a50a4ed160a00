"""Streams between pydicom and a file: pydicom reads whatever a header claims, these bound it."""

from __future__ import annotations

import zlib
from typing import Any, BinaryIO

from ctgrid.base.limits import check_bytes

LONGEST_HEADER = 64 << 20
"""Bytes that a header without its pixels may have; those of enhanced objects take a few kB a slice."""

_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)  # as floats, as doubles, as integers
_MOST_ZEROS = 100  # empty elements in a row
_UNDEFINED = 0xFFFFFFFF
_PEEKED = (6, 8)  # what pydicom reads to see whether another element follows
_PIECE = 1 << 22
_DEFLATED_SHARE = 8  # pydicom holds a deflated file twice and its elements besides


class Guarded:
    """A stream that ends pydicom's work where it would take too much memory or time.

    That is: on more bytes than a file of this kind has, whatever its elements claim; on nothing but zeros, of which it
    would make millions of elements; on a deflated file (the one that is read whole at once) that unpacks to too much.

    Attributes:
        cut: Whether the file ended inside an element.
    """

    def __init__(self, stream: BinaryIO, most: int) -> None:
        """Stand before a stream.

        Args:
            stream: Of the file.
            most: Bytes that may be read in all.
        """
        self._stream, self._zeros, self._left = stream, 0, most
        self.cut = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def read(self, size: int = -1) -> bytes:
        """Read.

        Raises:
            ValueError: It is too much, or nothing but zeros for too long.
            CtgridError: A deflated file unpacks to more than the limit.
        """
        if size > self._left:
            raise ValueError("an element of its header claims more than a file of this kind holds")
        data = self._stream.read(size if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise ValueError("its header is longer than that of any scan")
        self.cut = self.cut or (len(data) < size and (any(data) or size not in _PEEKED))
        if size == 8:
            self._zeros = 0 if any(data) else self._zeros + 1
        if self._zeros > _MOST_ZEROS:
            raise ValueError("it holds nothing but zeros")
        if size < 0:
            _check_deflated(data)
        return data


class AtPixels:
    """Tell pydicom to stop: at the pixels, where zeros follow, or an element that no header needs is that long.

    Attributes:
        reached: Whether it stopped at the pixels, or what may be them; a file that was cut short ends before.
    """

    def __init__(self) -> None:
        self.reached = False

    def __call__(self, tag: int, vr: str | None, length: int) -> bool:
        """Decide at the start of an element."""
        self.reached = tag >= _PIXELS[0] or LONGEST_HEADER < length != _UNDEFINED
        return self.reached or tag == 0


class AfterPixels:
    """Tell pydicom to stop once it has read the pixels; many files are padded behind them."""

    def __init__(self) -> None:
        self._seen = False

    def __call__(self, tag: int, vr: str | None, length: int) -> bool:
        """Decide at the start of an element."""
        stop = self._seen or tag == 0
        self._seen = tag in _PIXELS
        return stop


def _check_deflated(data: bytes) -> None:
    """Unpack once, keeping nothing."""
    decoder, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while data and not decoder.eof:
        total += len(decoder.decompress(data, _PIECE))
        check_bytes(total * _DEFLATED_SHARE, "a deflated DICOM file, which has to be unpacked whole, would take")
        data = decoder.unconsumed_tail
