"""Unpack a gzip stream into one array, checksums verified."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_BLOCK = 1 << 18
_PIECE = 1 << 22  # unpacked at once, however well it was packed
_TAIL = 16 << 20  # that may follow what is wanted
_GZIP = 31  # zlib's code for a gzip header, whose checksum zlib verifies at the end


def unpacked_blocks(path: Path) -> Iterator[bytes]:
    """Yield the content of a gzip file block by block, over all of its members.

    Args:
        path: A gzip file.

    Raises:
        EOFError: It ends too early.
        zlib.error: It is damaged.
    """
    with path.open("rb") as stream:
        decoder, started = zlib.decompressobj(_GZIP), False
        while block := stream.read(_BLOCK):
            while block:
                started = True
                yield decoder.decompress(block, _PIECE)
                block = decoder.unconsumed_tail
                if decoder.eof:
                    block, started = decoder.unused_data.lstrip(b"\0"), False  # gzip allows zeros after a member
                    decoder = zlib.decompressobj(_GZIP)
        while started and (piece := decoder.decompress(b"", _PIECE)):  # what a full piece has left behind
            yield piece
        if started and not decoder.eof:
            raise EOFError("the compressed data end too early")


def unpack_gzip(path: Path, start: int, size: int) -> tuple[np.ndarray, int]:
    """Return a range of the unpacked content; the rest is unpacked too, so that checksums are verified.

    No rest longer than 16 MiB is: a megabyte may unpack to a gigabyte.

    Args:
        path: A gzip file.
        start: First byte wanted.
        size: Number of bytes wanted.

    Returns:
        (size,) uint8, and how many bytes lie behind them.

    Raises:
        EOFError: The content, or the file, ends too early.
        ValueError: It goes on for much longer than what is wanted.
        zlib.error: It is damaged.
    """
    out = np.empty(size, np.uint8)
    at = -start
    for block in unpacked_blocks(path):
        if at < size and at + len(block) > 0:
            first = max(at, 0)
            part = np.frombuffer(block, np.uint8)[first - at : size - at]
            out[first : first + len(part)] = part
        at += len(block)
        if at > size + _TAIL:
            raise ValueError(f"its data go on for more than {_TAIL >> 20} MiB behind the last voxel")
    if at < size:
        raise EOFError(f"{max(at, 0)} bytes of voxels, {size} needed")
    return out, at - size
