"""Pixels as a file stores them, and what every decoder of them needs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.scan.formats.quiet import quiet_logger


@dataclass(frozen=True, eq=False)
class Stored:
    """The pixels of one file as stored.

    Attributes:
        values: (frames, rows, columns), of BitsStored bits, signed where the header says so.
        words: (frames, rows, columns), the whole words where these hold more bits than ``values``; else None.
        remarks: As those of :class:`ctgrid.scan.formats.dicom.pixels.Decoded`.
    """

    values: np.ndarray
    words: np.ndarray | None = None
    remarks: tuple[str, ...] = ()


def syntax_name(uid: str) -> str:
    """Return what a transfer syntax is called, or its UID where it has no name.

    Args:
        uid: Transfer syntax UID.
    """
    from pydicom.uid import UID

    return UID(uid).name if uid else "none stated"


def low_bits(words: np.ndarray, bits: int, signed: bool) -> np.ndarray:
    """Return the numbers in the lowest bits of 16-bit words, two's complement where signed.

    Args:
        words: uint16, any shape.
        bits: From 1 to 16.
        signed: Whether the highest of these bits is the sign.
    """
    shift = 16 - bits
    if signed:
        return (words << shift).view(np.int16) >> shift
    return words & np.uint16((1 << bits) - 1)


@contextmanager
def one_reason(what: str) -> Iterator[None]:
    """Turn whatever pydicom raises on damaged files, which is almost anything, into one line."""
    with quiet_logger("pydicom"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (CtgridError, MemoryError):
            raise
        except Exception as error:
            raise CtgridError(f"{what}: {reason_of(error)}") from error
