"""Find out which linear map turns stored values into HU, and record how it was found.

CT-RATE files come raw (stored values that need the slope and intercept of a sidecar) or fixed (HU already,
with the same sidecar beside them). Rescaling twice, or not at all, is the field's known bug. The candidates
are *readings* (:mod:`ctgrid.scan.hu.readings`); the evidence is where air and soft tissue land
(:mod:`ctgrid.scan.hu.evidence`). Exactly one map is applied, once, to the values as stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctgrid.base.errors import CtgridError
from ctgrid.scan.hu.evidence import LEAST_AIR, Evidence, decisive, evidence_of, evidence_sample
from ctgrid.scan.hu.modes import HU_MODES
from ctgrid.scan.hu.readings import (
    STORED,
    Reading,
    applied_map,
    apply_reading,
    distinct,
    header_reading,
    sidecar_readings,
)
from ctgrid.scan.hu.sidecar import sidecar_path

if TYPE_CHECKING:
    import numpy as np

    from ctgrid.scan.formats.stored import StoredScan
    from ctgrid.scan.hu.metadata import MetadataTable

USUAL_INTERCEPTS = (-1024.0, -1000.0, -8192.0)
"""Of scanners, and of collections: values that would be a CT by one of these were hardly meant as HU."""


def resolve_hu(
    scan: StoredScan, path: Path, mode: str = "auto", metadata: MetadataTable | None = None
) -> tuple[np.ndarray, dict[str, Any]]:
    """Choose a reading and apply it.

    Args:
        scan: What the format reader handed over.
        path: Where the scan was read.
        mode: "auto", or the reading to be used.
        metadata: The collection's table.

    Returns:
        HU (z, y, x) as int16 or float32, and the record of the decision.

    Raises:
        CtgridError: As :func:`choose_reading`.
    """
    reading, record = choose_reading(scan, path, mode, metadata)
    return apply_reading(scan.values, reading.after(applied_map(scan))), record


def choose_reading(
    scan: StoredScan,
    path: Path,
    mode: str = "auto",
    metadata: MetadataTable | None = None,
    trust_sidecar: bool = False,
) -> tuple[Reading, dict[str, Any]]:
    """Choose the reading that puts air and soft tissue where they belong.

    A single stated reading is taken as it is; ``confirmed`` in the record tells whether the evidence agrees, or
    ctgrid's mark. Of several, one must be right beyond doubt. A named reading is obeyed, unless it would rescale
    values that are HU already beyond doubt. Refused are a file that says itself that it holds something else,
    and values that look as stored while the table given does not list them.

    Args:
        scan: What the format reader handed over.
        path: Where the scan was read.
        mode: "auto", or the reading to be used.
        metadata: The collection's table.
        trust_sidecar: Where the evidence cannot tell, take the last sidecar rather than refuse.

    Returns:
        The reading (of the values as stored), and its record: source, slope, intercept, file, mode,
        confirmed, evidence, and the readings that were turned down.

    Raises:
        CtgridError: Unknown mode, a reading that the scan does not have, two readings or none that fit, a second
            rescaling, or values that are no HU.
    """  # noqa: DOC501
    if mode not in HU_MODES:
        raise CtgridError(f"hu={mode!r} is unknown; choose one of {', '.join(HU_MODES)}")
    if mode == "auto" and "not_hu" in scan.details:
        raise CtgridError(
            f"{path} is no CT in HU: {scan.details['not_hu']}; to take its values as HU all the same, use --hu stored"
        )
    stated = _stated(scan, path, mode, metadata)
    settled = mode == "stored" or scan.details.get("rescale_varies") or scan.details.get("written_by_ctgrid")
    implied = [] if settled else [STORED]
    readings = distinct([*stated, *implied], scan)
    stated = [r for r in readings if r in stated]
    sample = evidence_sample(scan.values)
    evidence = [evidence_of(sample, r.after(applied_map(scan))) for r in readings]
    winner = decisive(evidence)
    if mode in ("header", "sidecar"):
        winner = _obey(readings, evidence, winner, len(stated), path, mode)
    elif winner is None:
        if len(stated) > 1 and not trust_sidecar:
            raise _undecided(stated, evidence, path)
        winner = len(stated) - 1
    others = [{**r.record(), "support": round(e.support, 4)} for r, e in zip(readings, evidence, strict=True)]
    del others[winner]
    reading = readings[winner]
    looks = looks_stored(scan, sample, reading, evidence[winner])
    if looks is not None and mode == "auto" and metadata is not None and len(stated) == 1:
        raise CtgridError(
            f"{path}: its values from {evidence[winner].range_hu[0]:g} to {evidence[winner].range_hu[1]:g} look as "
            f"stored, and {metadata.file} has no row for it; add its row, or take them as HU with --hu stored"
        )
    record = {
        **reading.record(),
        "mode": mode,
        "confirmed": evidence[winner].plausible or bool(scan.details.get("written_by_ctgrid")),
        "evidence": evidence[winner].record(),
        **({} if looks is None else {"looks_stored": looks}),
    }
    return reading, {**record, "others": others} if others else record


def looks_stored(scan: StoredScan, sample: np.ndarray, reading: Reading, evidence: Evidence) -> float | None:
    """Return the intercept by which values that are taken as they are would be a CT, or None where none would.

    Args:
        scan: What the format reader handed over.
        sample: Of its values, see :func:`ctgrid.scan.hu.evidence.evidence_sample`.
        reading: The one that is used.
        evidence: For it.
    """
    if evidence.plausible or not reading.identity or scan.details.get("written_by_ctgrid"):
        return None
    return next((i for i in USUAL_INTERCEPTS if evidence_of(sample, Reading("stored", 1.0, i)).plausible), None)


def _stated(scan: StoredScan, path: Path, mode: str, metadata: MetadataTable | None) -> list[Reading]:
    """List the readings that the file or its metadata state and the mode allows; at least one."""
    header = header_reading(scan)
    own = STORED if header.identity and not scan.details.get("rescale_varies") else header
    if mode == "stored":
        if scan.details.get("rescale_varies"):
            raise CtgridError(f"{path}: every slice has its own rescale tags, which are applied; use --hu header")
        return [STORED]
    if mode == "header":
        return [header]
    if scan.details.get("written_by_ctgrid"):
        if mode == "sidecar":
            raise CtgridError(
                f"{path} was written by ctgrid and holds HU; to rescale it again is refused: use --hu auto"
            )
        return [own]
    sidecars = sidecar_readings(scan, path, metadata)
    if mode == "sidecar":
        if not sidecars:
            row = "" if metadata is None else f" and no row in {metadata.file}"
            raise CtgridError(f"{path} has no sidecar {sidecar_path(path).name}{row}; use --hu auto")
        return sidecars
    return [own, *sidecars]


def _obey(
    readings: list[Reading], evidence: list[Evidence], winner: int | None, stated: int, path: Path, mode: str
) -> int:
    """Return the named reading, unless the values are HU already beyond doubt or its sources disagree."""
    if winner is not None and readings[winner].identity and not any(r.identity for r in readings[:stated]):
        raise CtgridError(
            f"{path} holds HU already (air at {evidence[winner].peaks_hu[0]:g} HU as stored); "
            f"--hu {mode} would rescale it a second time by {readings[0]}: use --hu stored"
        )
    if stated > 1 and winner is None:
        raise _undecided(readings[:stated], evidence, path)
    return 0 if stated == 1 or winner is None or winner >= stated else winner


def _undecided(readings: list[Reading], evidence: list[Evidence], path: Path) -> CtgridError:
    """Say which readings fit equally well or equally badly, and how to choose."""
    fits = sum(e.plausible for e in evidence[: len(readings)])
    sources = list(dict.fromkeys(r.source for r in readings))
    advice = "choose with " + " or ".join(f"--hu {source}" for source in sources)
    if len(sources) < len(readings):
        advice += "; of two sidecars that disagree, remove the wrong one"
    return CtgridError(
        f"{path}: cannot tell how to get HU, by {' or '.join(map(str, readings))}: "
        f"air and soft tissue fit {'more than one' if fits > 1 else 'neither'}; {advice}"
    )


def require_air(record: Mapping[str, Any], name: str | Path) -> None:
    """Refuse a scan of which less than 2 % (padding left out) lies near -1000 HU.

    Args:
        record: What :func:`choose_reading` returned.
        name: What to call the scan.

    Raises:
        CtgridError: The values are not those of a CT.
    """
    evidence = record["evidence"]
    if evidence["air"] < LEAST_AIR:
        low, high = evidence["range_hu"]
        raise CtgridError(
            f"{name} has no air near -1000 HU (values run from {low:g} to {high:g}); "
            f"it is not a CT in HU: MR, or stored values that still need their slope and intercept"
        )
