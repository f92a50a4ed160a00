"""``ctgrid grids`` as a call of Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.record_place import RECORD
from ctgrid.base.settings import gather, spelled_out
from ctgrid.data.store import Store
from ctgrid.data.store.export import export_grids
from ctgrid.data.store.splits import select_volumes
from ctgrid.runs.stores.settings import GridsSettings
from ctgrid.scan.names import beside


@spelled_out(GridsSettings, "changes")
def store_grids(
    store: Path | str,
    out: Path | str | None = None,
    settings: GridsSettings | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> RunRecord:
    """Export a store's grid images as 8-bit gray PNG, with a run record; what is there already is kept.

    Args:
        store: its folder.
        out: folder of the pictures; None is ``STORE_grids`` beside the store.
        settings: which, and how; None takes the defaults.
        argv: the command line, for the record.
        progress: called with (phase, done, total).
        changes: settings other than those, by name.

    Returns:
        The record; its ``results`` count volumes and grids, and list the slices that fill no grid.

    Raises:
        CtgridError: as :func:`ctgrid.data.store.export.export_grids`.
    """
    asked, path = gather(GridsSettings, changes, settings or GridsSettings()), Path(store)
    opened = Store.open(path)
    folder = beside(path, "_grids", "") if out is None else Path(out)
    record = RunRecord("grids", folder / RECORD, list(argv))
    low, high = asked.window
    record.settings = {"store": path, **asked.as_dict(), "window_hu": asked.window}
    del record.settings["window"]
    with recorded(record, owns=[folder]), record.noting_warnings():
        names = asked.volumes or select_volumes(opened.names(), asked.split, asked.fraction)
        with record.timed("grids"):
            made = export_grids(
                opened,
                folder,
                names,
                stride=asked.stride,
                window_hu=asked.window,
                overwrite=asked.overwrite,
                workers=asked.workers,
                progress=record.kept_from("", progress),  # pictures lie there
            )
        record.outputs.append({"path": str(folder)})
        record.decisions |= {"bits": 8, "hu_per_gray": (high - low) / 255}
        record.results = {
            "volumes": len(made.volumes),
            "grids": made.written + made.kept,
            "written": made.written,
            "kept": made.kept,
            "grids_per_volume": max((len(p) for p in made.volumes.values()), default=0),
            "left_out": made.left_out,
        }
    return record
