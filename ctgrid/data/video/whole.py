"""Whether a movie ends where its container says: one that was cut short has fewer frames, and no other sign of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_SEGMENT = b"\x18\x53\x80\x67"
_TAIL = 64  # bytes at the end, of which all but the last few may be padding
_EBML = b"\x1a\x45\xdf\xa3"


def cut_at(path: Path) -> int | None:
    """Return the bytes that a movie needs by its own account, where it has fewer; None where it does not say so.

    Args:
        path: An mp4, mov, mkv, webm, avi or gif file; of any other it says nothing.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(12)
        if head[:4] == b"RIFF":
            end = 8 + int.from_bytes(head[4:8], "little")
        elif head[:4] == b"GIF8":
            stream.seek(-min(_TAIL, size), os.SEEK_END)
            end = size + (not stream.read().rstrip(b"\0").endswith(b"\0;"))  # the end of a block, then the trailer
        elif head[:4] == _EBML:
            end = _end_of_segment(stream)
        elif head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            end = _end_of_boxes(stream, size)
        else:
            return None
    return end if end > size else None


def _end_of_boxes(stream: BinaryIO, size: int) -> int:
    """Return where the last box of an ISO file (ISO/IEC 14496-12, 4.2) ends."""
    at = 0
    while at < size:
        stream.seek(at)
        head = stream.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length == 0:  # to the end of the file, however long that is
            return size
        if not head[4:8].isascii() or not head[4:8].decode("ascii").isprintable():
            return 0  # what others have put behind the last box
        at += max(length, 8)
    return at


def _end_of_segment(stream: BinaryIO) -> int:
    """Return where the segment of a Matroska file (RFC 8794, 9559) ends; 0 where its size is not said."""
    stream.seek(len(_EBML))
    length = _number(stream)
    stream.seek(length or 0, os.SEEK_CUR)
    if length is None or stream.read(4) != _SEGMENT:
        return 0
    length = _number(stream)
    return 0 if length is None else stream.tell() + length


def _number(stream: BinaryIO) -> int | None:
    """Read a number of variable length; None for one that is unknown or none."""
    first = stream.read(1)
    width = 9 - first[0].bit_length() if first and first[0] else 0
    rest = stream.read(width - 1) if width else b""
    if not width or len(rest) < width - 1:
        return None
    value = int.from_bytes(first + rest, "big") & ((1 << 7 * width) - 1)
    return None if value == (1 << 7 * width) - 1 else value
