"""Divide a store's or folder's volumes into train and valid, by patient, and write the split file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import JsonOption, OverwriteOption
from .output import finish


def command(
    ctx: typer.Context,
    data: Annotated[Path, typer.Argument(metavar="STORE|DIR", help="A store, or a folder of CT volumes.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="The .yaml or .json file to write. If not given: IN_split.yaml beside the data.",
        ),
    ] = None,
    valid: Annotated[float, typer.Option("--valid", metavar="PERCENT", help="Share of patients to validate on.")] = 10,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed gives another split.")] = 0,
    patient: Annotated[
        str | None,
        typer.Option("--patient", metavar="REGEX", help="Finds the patient in a name; CT-RATE's names are known."),
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """List, divide, write, record."""
    from ctgrid.base.files import check_output, check_suffix
    from ctgrid.base.record import RunRecord, recorded
    from ctgrid.base.record_place import record_beside
    from ctgrid.data.store import Store, is_store
    from ctgrid.data.store.splits import by_patient, make_split
    from ctgrid.data.volumes import find_volumes
    from ctgrid.scan.names import beside

    out = beside(data, "_split", ".yaml") if out is None else out
    check_suffix(out, (".yaml", ".yml", ".json"), "a split file")
    check_output(out, overwrite)
    record = RunRecord("split", record_beside(out, "split"), ctx.obj, seed)
    record.settings = {"data": data, "valid_percent": valid, "patient": patient}
    with recorded(record, out):
        names = Store.open(data).names() if is_store(data) else sorted(case.name for case in find_volumes(data))
        split = make_split(names, valid / 100, seed, patient)
        split.write(out, overwrite)
        record.add_output(out)
        record.results = {
            part: {"volumes": len(entries), "patients": len(by_patient(entries, patient))}
            for part, entries in split.parts.items()
        }
    counts = (f"{part} {n['volumes']} volumes of {n['patients']} patients" for part, n in record.results.items())
    finish(record, as_json, [f"{out}: {', '.join(counts)}"])
