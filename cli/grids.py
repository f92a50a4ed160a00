"""Export a store's grid images as 8-bit gray PNG, as the paper's training reads them, for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ctgrid.scan.windows import FULL_WINDOW_HU

from .options import JsonOption, OverwriteOption, parse_window, window_text
from .output import cost, finish
from .progress import progress_bar

WHOLE_WINDOW = window_text(FULL_WINDOW_HU)


def command(
    ctx: typer.Context,
    store: Annotated[Path, typer.Argument(metavar="STORE", help="A store made by ctgrid prepare.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder of the pictures; made if missing. If not given: STORE_grids beside the store.",
        ),
    ] = None,
    volumes: Annotated[
        list[str] | None, typer.Option("--volumes", metavar="NAME", help="Only this volume; may be repeated.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", metavar="FILE:PART", help="Only these volumes; also FILE.txt, ct-rate:train."),
    ] = None,
    fraction: Annotated[
        float | None, typer.Option("--fraction", metavar="PERCENT", help="Only so many of the patients.")
    ] = None,
    stride: Annotated[int, typer.Option("--stride", min=1, help="Slices from one cell to the next.")] = 1,
    window: Annotated[
        Any, typer.Option("--window", metavar="LO,HI", parser=parse_window, help="HU that become black and white.")
    ] = WHOLE_WINDOW,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Threads that write.")] = 1,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Read, tile, write, record; run it again to go on where it was stopped."""
    from ctgrid.base.record import RunRecord, recorded
    from ctgrid.base.record_place import RECORD
    from ctgrid.data.store import Store
    from ctgrid.data.store.export import export_grids
    from ctgrid.data.store.splits import select_volumes
    from ctgrid.scan.names import beside

    if volumes and (split is not None or fraction is not None):
        raise typer.BadParameter("give --volumes, or --split and --fraction, not both", param_hint="--volumes")
    opened = Store.open(store)
    out = beside(store, "_grids", "") if out is None else out
    record = RunRecord("grids", out / RECORD, ctx.obj)
    record.settings = {"store": store, "volumes": volumes, "split": split, "fraction": fraction, "stride": stride}
    record.settings |= {"window_hu": window, "workers": workers, "overwrite": overwrite}
    names = volumes or select_volumes(opened.names(), split, fraction)
    with recorded(record, owns=[out]), progress_bar() as bar:

        def progress(phase: str, done: int, total: int) -> None:
            record.worth_keeping = True  # pictures lie there
            bar(phase, done, total)

        with record.timed("grids"):
            made = export_grids(
                opened,
                out,
                names,
                stride=stride,
                window_hu=window,
                overwrite=overwrite,
                workers=workers,
                progress=progress,
            )
        record.outputs.append({"path": str(out)})
        record.decisions = {"bits": 8, "hu_per_gray": (window[1] - window[0]) / 255}
        record.results = {
            "volumes": len(made.volumes),
            "grids": made.written + made.kept,
            "written": made.written,
            "kept": made.kept,
            "grids_per_volume": max((len(p) for p in made.volumes.values()), default=0),
            "left_out": made.left_out,
        }
    count, left = record.results["grids"], len(made.left_out)
    finish(
        record,
        as_json,
        [
            f"{out}: {count} grids of {len(made.volumes)} volumes ({made.kept} were there already), "
            f"8 bits of {record.decisions['hu_per_gray']:.2f} HU",
            f"the last {left} slices of every volume fill no grid and are left out" if left else "every slice is in",
            cost(record),
        ],
    )
