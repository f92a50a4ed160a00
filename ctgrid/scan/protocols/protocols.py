"""The protocols by name: run on a scan, asked how slices lie in the patient, put back onto the patient's grid.

A new one is one entry of :data:`PROTOCOLS`, which is called for the protocol when that is needed: the table itself
imports nothing, since help must name the protocols at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctgrid.base.errors import CtgridError
from ctgrid.base.families import look_up

if TYPE_CHECKING:
    import numpy as np

    from ctgrid.scan.hu.metadata import MetadataTable
    from ctgrid.scan.protocols.result import InverseRecord, ProtocolResult
    from ctgrid.scan.volume import Volume


@dataclass(frozen=True)
class Made:
    """What a protocol made of a scan, and the scan's own grid: affine (4, 4) and shape (z, y, x)."""

    result: ProtocolResult
    affine: np.ndarray
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class Protocol:
    """One way to bring scans to one form.

    Attributes:
        name: as stores and stages name it.
        run: called as ``run(path, metadata, series, *, size, k, slices, parity, fov_mm, hu)``.
        record: reads the inverse record from JSON.
        orientation: axis codes (columns, rows, slices) of the slices, from the inverse record's JSON.
        restore: puts an array (n, S, S) back by its record.
    """

    name: str
    run: Callable[..., Made]
    record: Callable[[Mapping[str, Any]], Any]
    orientation: Callable[[Mapping[str, Any]], str]
    restore: Callable[[np.ndarray, Any], Volume]


def _run_generatect(
    path: Path,
    metadata: MetadataTable | None,
    series: str | None,
    *,
    size: int,
    k: int,
    parity: bool,
    hu: str,
    **_: Any,
) -> Made:
    from ctgrid.scan.formats.open import read_stored
    from ctgrid.scan.protocols.generatect import generatect_pass

    result = generatect_pass(path, size, k, parity, metadata, hu, read_stored(path, series))
    return Made(result, result.record.affine, result.record.shape)


def _run_canonical(
    path: Path,
    metadata: MetadataTable | None,
    series: str | None,
    *,
    size: int,
    k: int,
    slices: int | None,
    fov_mm: float | None,
    hu: str,
    **_: Any,
) -> Made:
    from ctgrid.scan.ct import require_ct
    from ctgrid.scan.protocols.canonical import canonical_pass
    from ctgrid.scan.volume import Volume

    volume = Volume.read(path, hu=hu, metadata=metadata, series=series)
    require_ct(volume)
    return Made(canonical_pass(volume, size, k, slices, fov_mm), volume.affine, volume.shape)


def _generatect() -> Protocol:
    from ctgrid.scan.protocols.generatect import GenerateCTRecord, invert, slice_orientation

    return Protocol("generatect", _run_generatect, GenerateCTRecord.from_json, slice_orientation, invert)


def _canonical() -> Protocol:
    from ctgrid.scan.protocols.canonical import DISPLAY, CanonicalRecord, from_canonical

    return Protocol("canonical", _run_canonical, CanonicalRecord.from_json, lambda record: DISPLAY, from_canonical)


PROTOCOLS: dict[str, Callable[[], Protocol]] = {"generatect": _generatect, "canonical": _canonical}


def check_protocol(name: Any) -> str:
    """Return a protocol's name where there is such a protocol.

    Raises:
        CtgridError: Unknown to this ctgrid.
    """
    look_up(PROTOCOLS, name, "protocol")
    return str(name)


def protocol_named(name: Any) -> Protocol:
    """Return a protocol.

    Raises:
        CtgridError: Unknown to this ctgrid.
    """
    return look_up(PROTOCOLS, name, "protocol")()


def record_from_json(data: Mapping[str, Any]) -> InverseRecord:
    """Read a protocol's inverse record.

    Args:
        data: What ``record.to_json()`` returned.

    Raises:
        CtgridError: Not the record of a known protocol.
    """
    protocol = protocol_named(data.get("protocol"))
    try:
        record: InverseRecord = protocol.record(data)
        return record
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, LookupError) as error:
        raise CtgridError(f"the record of protocol {protocol.name} is damaged: {error}") from error


def orientation_of(data: Mapping[str, Any]) -> str:
    """Return how the slices of a protocol lie in the patient: axis codes of (columns, rows, slices), such as "LPS".

    Args:
        data: What ``record.to_json()`` returned; what decides on the orientation is enough.

    Raises:
        CtgridError: Not the record of a known protocol.
    """
    protocol = protocol_named(data.get("protocol"))
    try:
        return protocol.orientation(data)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, LookupError) as error:
        raise CtgridError(f"the record of protocol {protocol.name} is damaged: {error}") from error


def restore(array: np.ndarray, record: InverseRecord) -> Volume:
    """Put a protocol's array back onto the patient's own grid.

    Args:
        array: (n, S, S) as the record describes it: floating in [-1, 1], or integers in HU.
        record: The inverse record.

    Raises:
        CtgridError: The array's shape is not the record's.
    """
    return protocol_named(record.protocol).restore(array, record)
