"""From a store back to the patient: the protocols' inverses, chosen by the volume's own record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.base.limits import check_bytes

if TYPE_CHECKING:
    from ctgrid.scan.volume import Volume


def put_back(hu: np.ndarray, record: Mapping[str, Any]) -> Volume:
    """Put stored slices, or a network's output for them, back onto the patient's own grid.

    Args:
        hu: (n, S, S) in HU, int16 or floating.
        record: The volume's record in the store.

    Raises:
        CtgridError: The record names a protocol that this ctgrid does not know.
    """
    from ctgrid.scan.protocols.protocols import record_from_json, restore
    from ctgrid.scan.protocols.resample import normalise

    array = normalise(hu) if hu.dtype.kind == "f" else hu  # protocols take [-1, 1], or whole HU
    found = record_from_json(record["inverse"])
    shape = getattr(found, "shape", None)  # of the protocols here; one that is added may know none
    if shape is not None:
        check_bytes(math.prod(shape) * hu.dtype.itemsize, "by its record in the store, the scan has")
    return restore(array, found)
