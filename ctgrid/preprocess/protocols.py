"""The protocols by name: records from JSON, and arrays back onto the patient's grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ctgrid.errors import CtgridError
from ctgrid.preprocess.canonical import CanonicalRecord, from_canonical
from ctgrid.preprocess.generatect import GenerateCTRecord, invert
from ctgrid.volume import Volume

Record = GenerateCTRecord | CanonicalRecord


def record_from_json(data: Mapping[str, Any]) -> Record:
    """Read a protocol's inverse record.

    Args:
        data: What ``record.to_json()`` returned.

    Raises:
        CtgridError: Not the record of a known protocol.
    """
    protocol = data.get("protocol")
    try:
        if protocol == "generatect":
            return GenerateCTRecord.from_json(data)
        if protocol == "canonical":
            return CanonicalRecord.from_json(data)
    except (KeyError, TypeError, ValueError) as error:
        raise CtgridError(f"the record of protocol {protocol} is damaged: {error}") from error
    raise CtgridError(f"protocol {protocol!r} is unknown; known are generatect and canonical")


def restore(array: np.ndarray, record: Record) -> Volume:
    """Put a protocol's array back onto the patient's grid.

    Args:
        array: (n, S, S) as the record describes it: floating in [-1, 1], or integers in HU.
        record: The inverse record.

    Raises:
        CtgridError: The array's shape is not the record's.
    """
    return invert(array, record) if isinstance(record, GenerateCTRecord) else from_canonical(array, record)
