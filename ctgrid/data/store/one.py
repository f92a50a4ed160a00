"""Prepare one scan: read, protocol, write. Runs in this process or on a worker, and never raises for a bad scan."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctgrid.base.causes import out_of_memory
from ctgrid.base.documents import plain
from ctgrid.base.errors import CtgridError, one_line
from ctgrid.base.extras import require
from ctgrid.base.machine import peak_memory_mib
from ctgrid.base.privacy import hides, without_paths
from ctgrid.data.store.report import Row
from ctgrid.data.store.settings import StoreSettings
from ctgrid.data.store.store import Store
from ctgrid.data.store.write import CannotWrite, write_volume
from ctgrid.scan.cases import Case
from ctgrid.scan.source import difference, identity, stamp

if TYPE_CHECKING:
    from ctgrid.scan.hu.metadata import MetadataTable
    from ctgrid.scan.protocols.result import ProtocolResult


@dataclass(frozen=True)
class StoreJob:
    """All that a worker needs to know about one scan.

    Attributes:
        case: The scan and its name.
        store: The store's folder.
        settings: The store's settings.
        metadata: The scan's row of the collection's table, or None.
        overwrite: Whether a volume made of another input may be replaced.
        threads: The most threads to use; None leaves the libraries' own choice.
    """

    case: Case
    store: Path
    settings: StoreSettings
    metadata: MetadataTable | None = None
    overwrite: bool = False
    threads: int | None = None


def prepare_case(job: StoreJob) -> Row:
    """Prepare a scan and say what became of it.

    Args:
        job: The scan, and where it goes.

    Returns:
        The row of the report: status ok, skipped (left out by the protocol) or failed, and the reason.

    Raises:
        CannotWrite: The store cannot be written; this is no fault of the scan.
    """
    from ctgrid.scan.protocols.result import OutsideProtocol

    start = time.perf_counter()
    row: Row = {"name": job.case.name, "input": job.case.key, "status": "failed", "reason": None}
    try:
        with few_threads(job.threads):
            row["stamp"] = stamp(job.case.path, job.metadata)
            row |= _prepare(job) if job.case.left_out is None else {"status": "skipped", "reason": job.case.left_out}
    except CannotWrite:
        raise
    except OutsideProtocol as error:
        row |= {"status": "skipped", "reason": one_line(str(error))}
    except CtgridError as error:
        row["reason"] = one_line(str(error))
    except Exception as error:  # one bad scan never stops a run
        row["reason"] = f"unexpected {type(error).__name__}: {one_line(str(error)) or 'no message'}"
        if out_of_memory(error):
            row["reason"] = "not enough memory; prepare it again with fewer --workers or a smaller --size"
    row |= {"seconds": round(time.perf_counter() - start, 3), "peak_mib": peak_memory_mib().get("process")}
    return without_paths(row, str(job.case.path)) if hides() else row


def _prepare(job: StoreJob) -> Row:
    """Return what the report shall say beyond name and input."""
    path, name = job.case.path, job.case.name
    there = Store(job.store, job.settings)
    if name in there:
        record = there.volume(name).record
        change = difference(record["source"], identity(path, job.metadata, job.case.series))
        if change is None:
            return {"status": "ok", "already_there": True, **_facts(record)}
        if not job.overwrite:
            raise CtgridError(
                f"the store has {name} already, from another input or another state of this one ({change}); "
                f"pass --overwrite to replace it, or rename the input"
            )
    before = stamp(path, job.metadata)
    result, geometry = apply_protocol(path, job.settings, job.metadata, job.case.series)
    source = identity(path, job.metadata, job.case.series)  # after reading: the file is in the system's cache
    if stamp(path, job.metadata) != before:
        raise CtgridError(f"{path} changed while it was being read; run again once it is complete")
    record = volume_record(result, geometry, source, job.settings)
    if hides():
        record = without_paths(record, str(job.case.path))
    new = write_volume(job.store, name, result.slices, result.coarse, record, job.overwrite)
    return {"status": "ok", **({} if new else {"already_there": True}), **_facts(record)}


def apply_protocol(
    path: Path, settings: StoreSettings, metadata: MetadataTable | None, series: str | None = None
) -> tuple[ProtocolResult, dict[str, Any]]:
    """Read a scan and run the protocol on it.

    Args:
        path: The scan.
        settings: The protocol and its parameters.
        metadata: The collection's table.
        series: SeriesInstanceUID; None takes the largest axial CT series.

    Returns:
        Both resolutions with their record, and the input's geometry.
    """
    from ctgrid.scan.protocols.protocols import protocol_named

    how = {name: value for name, value in settings.as_dict().items() if name != "protocol"}
    made = protocol_named(settings.protocol).run(path, metadata, series, **how)
    return made.result, _geometry(made.affine, made.shape)


def volume_record(
    result: ProtocolResult,
    geometry: Mapping[str, Any],
    source: Mapping[str, Any],
    settings: StoreSettings,
) -> dict[str, Any]:
    """Return a volume's attributes in the store: nothing in it tells when, where or by which path it was made.

    Args:
        result: What the protocol made.
        geometry: The input's geometry.
        source: The input's identity.
        settings: The store's settings.
    """
    inverse = _portable(plain(result.record.to_json()))
    return plain(
        {
            "source": source,
            "geometry": {**geometry, "stored_spacing_mm": result.record.spacing_mm},
            "hu": _portable(plain(dict(result.record.hu))),
            "protocol": settings.as_dict(),
            "inverse": inverse,
        }
    )


@contextmanager
def few_threads(count: int | None) -> Iterator[None]:
    """Keep the libraries of this process to so many threads; a worker per core needs no more.

    Args:
        count: The most threads for each library; None leaves them alone.
    """
    if count is None:
        yield
        return
    import torch

    blosc = require("numcodecs.blosc")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    blosc_before = blosc.set_nthreads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        blosc.set_nthreads(blosc_before)


def _geometry(affine: Any, shape: Any) -> dict[str, Any]:
    from ctgrid.scan.geometry import axis_codes, spacing_mm

    return {
        "affine": affine,
        "shape": shape,
        "spacing_mm": spacing_mm(affine),
        "orientation": axis_codes(affine),
    }


def _portable(value: Any) -> Any:
    """Turn full paths, under the keys that hold such, into file names."""
    if isinstance(value, dict):
        return {key: _file_name(v) if key in ("source", "file") else _portable(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_portable(item) for item in value]
    return value


def _file_name(value: Any) -> Any:
    return Path(value).name if isinstance(value, str) else value


def _facts(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the report tells about a volume that is in the store."""
    geometry = record["geometry"]
    found = {"hu": record["hu"], "shape": geometry["shape"], "spacing_mm": geometry["spacing_mm"]}
    provenance = record["inverse"].get("provenance", {})
    passed_over = [item for item in provenance.get("series_list", []) if not item.get("chosen")]
    told = {**{key: provenance.get(key) for key in ("notes", "warnings")}, "passed_over": passed_over}
    return found | {key: value for key, value in told.items() if value}
