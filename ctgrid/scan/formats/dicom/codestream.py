"""What a JPEG, JPEG-LS or JPEG 2000 stream says about its picture.

Decoders trust a DICOM header that contradicts the stream, and some then write past their buffers.
"""

from __future__ import annotations

from typing import NamedTuple

_SOI, _SIZ = b"\xff\xd8", b"\xff\x4f\xff\x51"
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # SOF0..15 without DHT, JPG, DAC; SOF55 of JPEG-LS
_BARE = {0x01, *range(0xD0, 0xD8)}  # markers without a length


class Picture(NamedTuple):
    """What a stream says of itself.

    Attributes:
        rows, columns, components: Of the picture.
        bits: Of one value.
        signed: Whether values are signed.
        knows_sign: Whether streams of this kind state it: those of JPEG 2000 do.
    """

    rows: int
    columns: int
    components: int
    bits: int
    signed: bool = False
    knows_sign: bool = False


def picture(stream: bytes) -> Picture | None:
    """Return what a stream says of its picture, or None where it is neither kind or damaged.

    ISO/IEC 10918-1 B.2 (JPEG), 14495-1 C.2 (JPEG-LS), 15444-1 A.5.1 (JPEG 2000).

    Args:
        stream: One compressed frame.
    """
    if stream[:4] == _SIZ:
        return _jpeg2000(stream)
    return _jpeg(stream) if stream[:2] == _SOI else None


def _jpeg(stream: bytes) -> Picture | None:
    at = 2
    while at + 10 <= len(stream):
        if stream[at] != 0xFF:
            return None
        marker = stream[at + 1]
        if marker == 0xFF or marker in _BARE:  # fill byte
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAMES:
            bits, rows, columns, components = stream[at + 4], *_words(stream, at + 5, 2), stream[at + 9]
            return Picture(rows, columns, components, bits) if bits else None
        at += 2 + _words(stream, at + 2, 1)[0]
    return None


def _jpeg2000(stream: bytes) -> Picture | None:
    if len(stream) < 43:
        return None
    right, bottom, left, top, tile_x, tile_y, tile_left, tile_top = _words(stream, 8, 8, 4)
    if not (tile_x and tile_y) or tile_left > left or tile_top > top:
        return None
    (components,) = _words(stream, 40, 1)
    if stream[43:45] != b"\x01\x01":  # subsampled
        return None
    return Picture(bottom - top, right - left, components, (stream[42] & 0x7F) + 1, bool(stream[42] & 0x80), True)


def _words(stream: bytes, at: int, n: int, size: int = 2) -> list[int]:
    return [int.from_bytes(stream[at + i * size : at + (i + 1) * size], "big") for i in range(n)]
