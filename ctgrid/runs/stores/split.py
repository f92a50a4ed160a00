"""``ctgrid split`` as a call of Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctgrid.base.files import check_output, check_suffix
from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.record_place import record_beside
from ctgrid.base.settings import gather, spelled_out
from ctgrid.data.store import Store, is_store
from ctgrid.data.store.splits import by_patient, make_split
from ctgrid.data.volumes import find_volumes
from ctgrid.runs.stores.settings import SplitSettings
from ctgrid.scan.names import beside


@spelled_out(SplitSettings, "changes")
def split_volumes(
    data: Path | str,
    out: Path | str | None = None,
    settings: SplitSettings | None = None,
    *,
    argv: Sequence[str] = (),
    **changes: Any,
) -> RunRecord:
    """Divide the volumes of a store or a folder into train and valid, by patient, and write the split file.

    Args:
        data: a store, or a folder of CT volumes.
        out: the ``.yaml`` or ``.json`` file; None is ``IN_split.yaml`` beside the data.
        settings: how; None takes the defaults.
        argv: the command line, for the record.
        changes: settings other than those, by name.

    Returns:
        The record; its ``results`` count volumes and patients of either part.

    Raises:
        CtgridError: where there are no volumes, or they cannot be divided so.
    """
    asked, data = gather(SplitSettings, changes, settings or SplitSettings()), Path(data)
    path = beside(data, "_split", ".yaml") if out is None else Path(out)
    check_suffix(path, (".yaml", ".yml", ".json"), "a split file")
    check_output(path, asked.overwrite)
    record = RunRecord("split", record_beside(path, "split"), list(argv), asked.seed)
    record.settings = {"data": data, "valid_percent": asked.valid, "patient": asked.patient}
    with recorded(record, path):
        names = Store.open(data).names() if is_store(data) else sorted(case.name for case in find_volumes(data))
        split = make_split(names, asked.valid / 100, asked.seed, asked.patient)
        split.write(path, asked.overwrite)
        record.add_output(path)
        record.results = {
            part: {"volumes": len(entries), "patients": len(by_patient(entries, asked.patient))}
            for part, entries in split.parts.items()
        }
    return record
