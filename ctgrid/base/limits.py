"""How much one input may unpack to: the one limit for headers and archives that claim, or hold, more than they should.

A header of a few bytes can ask for terabytes, and a megabyte of zip can hold a gigabyte. Every reader asks here before
it allocates or unpacks.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from ctgrid.base.errors import CtgridError

VARIABLE = "CTGRID_MAX_BYTES"
"""The environment variable that raises or lowers the limit, for worker processes too."""

DEFAULT_BYTES = 2 << 30
"""Of one scan: 512 x 512 x 4096 voxels of 16 bits."""

_UNITS = {"": 0, "B": 0, "K": 10, "M": 20, "G": 30, "T": 40}


def parse_bytes(text: str) -> int:
    """Read a number of bytes such as 3000000, 800M or 6G; units are powers of 1024, iB may follow them.

    Raises:
        CtgridError: It is none, or not above 0.
    """
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,6})?)\s*([KMGT]?)(?:I?B)?\s*", text.upper(), re.ASCII)
    size = int(float(match[1]) * (1 << _UNITS[match[2]])) if match else 0
    if size < 1:
        raise CtgridError(f"{text!r} is no number of bytes above 0; write it as 800M or 6G")
    return size


def max_bytes() -> int:
    """Return the limit: of :data:`VARIABLE`, or the default.

    Raises:
        CtgridError: The variable holds something else.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return DEFAULT_BYTES
    try:
        return parse_bytes(text)
    except CtgridError as error:
        raise CtgridError(f"{VARIABLE}: {error}") from error


def check_bytes(size: int, what: Any) -> None:
    """Refuse what would take more than the limit, before it does.

    Args:
        size: Bytes that are claimed or counted.
        what: A clause that says of what, such as "scan.nii.gz: its header asks for".

    Raises:
        CtgridError: It is too much.
    """
    limit = max_bytes()
    if size > limit:
        raise CtgridError(
            f"{what} {readable(size)}, more than the limit of {readable(limit)}; if that is right, raise it with "
            f"ctgrid --max-bytes {_enough(size)} or {VARIABLE}"
        )


def check_zip(path: Path) -> None:
    """Refuse an archive, a ``.npz`` for instance, whose members unpack to more than the limit together.

    Args:
        path: The archive.

    Raises:
        CtgridError: It is too much.
        zipfile.BadZipFile: It is none.
        OSError: It cannot be read.
    """
    import zipfile

    with zipfile.ZipFile(path) as archive:
        check_bytes(sum(member.file_size for member in archive.infolist()), f"{path} unpacks to")


def readable(size: int) -> str:
    """Return a number of bytes for people."""
    for unit, bits in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 1 << bits:
            return f"{size / (1 << bits):.4g} {unit}"
    return f"{size} bytes"


def _enough(size: int) -> str:
    return f"{-(-size >> 30)}G" if size >= 1 << 30 else f"{-(-size >> 20)}M"
