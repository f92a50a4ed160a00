"""Turn padding that would read as tissue, or as denser than metal, into air.

Scanners fill what lies outside their round field of view with PixelPaddingValue (PS3.3 C.7.5.1.1.2), compared with the
values as stored, before any map. Where its HU is as low as air it stays; where it is higher it becomes PADDED_HU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctgrid.scan.formats.dicom.elements import number
from ctgrid.scan.windows import AIR_HU

if TYPE_CHECKING:
    from pydicom import Dataset

PADDED_HU = -1024
"""What padding becomes: the lowest HU of scanners with 12 bits."""

_HIGH_HU = 3071.0  # above 12 bits of HU; below it, a value may be tissue as well
_LEAST_SHARE = 0.005  # of a slice that padding among tissue values covers in one piece


@dataclass(frozen=True)
class Padding:
    """The stored values that are padding, in the header's own signedness.

    Attributes:
        low, high: The first and last of them.
        word_bits: Bits of a stored word, BitsAllocated.
    """

    low: int
    high: int
    word_bits: int

    def inside(self, stored: np.ndarray, words: np.ndarray | None) -> np.ndarray:
        """Return where padding is.

        Args:
            stored: (rows, columns) values of BitsStored.
            words: (rows, columns) unsigned, the whole words before bits above BitsStored were dropped; None where they
                are the same, or were never there.
        """
        one = self.low == self.high
        found = stored == self.low if one else (stored >= self.low) & (stored <= self.high)
        if words is not None:  # padding may need more bits than the values have
            full = 1 << self.word_bits
            low, high = self.low % full, self.high % full
            found |= (words >= min(low, high)) & (words <= max(low, high))
        return found


def padding_of(dataset: Dataset) -> Padding | None:
    """Return what a header says of padding, or None.

    Its values are taken as bit patterns: 63536 and -2000 are one in 16 bits, whichever was written.

    Args:
        dataset: The file's data set.
    """
    value = number(dataset, "PixelPaddingValue")
    if value is None or not value.is_integer():
        return None
    limit = number(dataset, "PixelPaddingRangeLimit")
    limit = value if limit is None or not limit.is_integer() else limit
    bits, signed = int(dataset.BitsAllocated), int(dataset.PixelRepresentation) == 1
    ends = sorted(_pattern(int(end), bits, signed) for end in (value, limit))
    return Padding(ends[0], ends[1], bits)


def _pattern(value: int, bits: int, signed: bool) -> int:
    value %= 1 << bits
    return value - (1 << bits) if signed and value >> (bits - 1) else value


def is_low(padding: Padding, rescale: tuple[float, float]) -> bool:
    """Tell whether all padding is as low as air under a map, so that none has to be looked for.

    Args:
        padding: The stored values that are padding.
        rescale: Slope and intercept to HU.
    """
    return max(end * rescale[0] + rescale[1] for end in (padding.low, padding.high)) <= AIR_HU


def to_air(hu: np.ndarray, padded: np.ndarray) -> int:
    """Set padding that is not low to PADDED_HU, in place; return the number of pixels that changed.

    Values that tissue may have as well are padding only where they cover a region that touches the edge of the slice.

    Args:
        hu: (rows, columns).
        padded: (rows, columns), where the stored value is one of padding.
    """
    high = padded & (hu > AIR_HU)
    if not high.any():
        return 0
    among = high & (hu <= _HIGH_HU)
    if among.any():
        high &= ~among | _at_the_edge(among)
    hu[high] = PADDED_HU
    return int(high.sum())


def _at_the_edge(mask: np.ndarray) -> np.ndarray:
    """Return the large connected regions that touch the edge."""
    from scipy.ndimage import label

    regions, count = label(mask)
    sizes = np.bincount(regions.ravel(), minlength=count + 1)
    edge = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
    kept = np.zeros(count + 1, bool)
    kept[edge] = sizes[edge] >= _LEAST_SHARE * mask.size
    kept[0] = False
    return kept[regions]
