"""Damage to files, drawn from a seed: what disks, transfers, editors and attackers do to them."""

from __future__ import annotations

import random
import re

EXTREMES = (0, 1, 2**7, 2**15 - 1, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
WORDS = (
    b"nan", b"inf", b"-1", b"0", b"1e999", b"9" * 5000, b"null", b"true", b'""', b"[]", b"{}", b"[" * 2000, b"\0",
    b"\xff", b"../../etc/passwd", b"2001-99-99", b"&a [*a, *a]", b"-9223372036854775808", b"\xed\xa0\x80", b'"\\ud800"',
)  # fmt: skip
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_VALUE = re.compile(rb'"[^"\n]{0,60}"|-?\d[\d.eE+-]*|true|false|null')


def mutate(content: bytes, draw: random.Random) -> bytes:
    """Return damaged content.

    Args:
        content: Of a file that can be read.
        draw: Decides what happens to it.
    """
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        content = draw.choice(_KINDS)(content, draw)
    return content


def _cut(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content) + 1)]


def _flip(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 4, 32)) if changed else 0):
        place = draw.randrange(min(len(changed), draw.choice((64, 400, 2**30))))
        changed[place] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _splice(content: bytes, draw: random.Random) -> bytes:
    start, end = sorted(draw.randrange(len(content) + 1) for _ in range(2))
    place = draw.randrange(len(content) + 1)
    return content[:place] + content[start:end][: 1 << 16] + content[place:]


def _drop(content: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(content) + 1)
    return content[:start] + content[start + draw.choice((1, 4, 64, 4096)) :]


def _number(content: bytes, draw: random.Random) -> bytes:
    """Put an extreme number over bytes of the head, in either order."""
    width, order = draw.choice((1, 2, 4, 8)), draw.choice(("little", "big"))
    place = draw.randrange(max(1, min(len(content), draw.choice((64, 400, 4096)))))
    value = draw.choice(EXTREMES) % (1 << 8 * width)
    return content[:place] + value.to_bytes(width, order) + content[place + width :]  # type: ignore[arg-type]


def _float(content: bytes, draw: random.Random) -> bytes:
    """Put a float that is none, or enormous, over bytes of the head."""
    place = draw.randrange(max(1, min(len(content), 400))) // 4 * 4
    value = draw.choice((b"\x00\x00\x80\x7f", b"\x00\x00\x80\xff", b"\x00\x00\xc0\x7f", b"\xff\xff\x7f\x7f", bytes(4)))
    return content[:place] + value + content[place + 4 :]


def _word(content: bytes, draw: random.Random) -> bytes:
    """Put something else for a value in a text."""
    pattern = draw.choice((_NUMBER, _VALUE))
    found = list(pattern.finditer(content[: 1 << 16]))
    if not found:
        return _flip(content, draw)
    chosen = draw.choice(found)
    return content[: chosen.start()] + draw.choice(WORDS) + content[chosen.end() :]


def _other(content: bytes, draw: random.Random) -> bytes:
    return draw.choice(
        (b"", b"\0" * 1000, b"\x1f\x8b\x08", b"PK\x03\x04", draw.randbytes(500), content * 2, b"[]", b"3")
    )


_KINDS = (_cut, _flip, _flip, _splice, _drop, _number, _number, _float, _word, _word, _word, _other)
