"""Look at models, convert checkpoints, put trained parts together to a model that the other commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctgrid.base.files import check_folder

from . import ceiling, model_convert, model_info, model_sources
from .options import JsonOption, OverwriteOption
from .output import finish

app = typer.Typer(help=__doc__, invoke_without_command=True)


@app.callback()
def main(ctx: typer.Context) -> None:
    """Show the help where no command is given."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


app.command("info", help=model_info.__doc__)(model_info.command)
app.command("convert", help=model_convert.__doc__)(model_convert.command)
app.command("list", help=model_sources.list_command.__doc__)(model_sources.list_command)
app.command("fetch", help=model_sources.fetch_command.__doc__)(model_sources.fetch_command)
app.command("verify", help=model_sources.verify_command.__doc__)(model_sources.verify_command)
app.command("ceiling", help=ceiling.__doc__)(ceiling.command)


@app.command("pack", help="Put codec, stage 1 and stage 2 (training runs or model folders) into one model folder.")
def pack(
    ctx: typer.Context,
    codec: Annotated[Path, typer.Option("--codec", metavar="DIR|NAME", help="Training run or folder of the codec.")],
    stage1: Annotated[Path, typer.Option("--stage1", metavar="DIR", help="Training run or folder of stage 1.")],
    stage2: Annotated[Path, typer.Option("--stage2", metavar="DIR", help="Training run or folder of stage 2.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The model's folder; made if missing.")],
    detail: Annotated[
        Path | None, typer.Option("--detail", metavar="DIR", help="Training run or folder of the detail network.")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store weights in 16 bits, half the size.")] = False,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check, copy, record."""
    from ctgrid.base.record import RunRecord, recorded
    from ctgrid.base.record_place import RECORD

    check_folder(out)
    record = RunRecord("model pack", out / RECORD, ctx.find_root().obj)
    record.settings = {"codec": codec, "stage1": stage1, "stage2": stage2, "detail": detail, "half": half}
    with recorded(record, owns=[out]):
        from ctgrid.stages.models.bundle import load_bundle, pack, part_folder

        with record.timed("pack"):
            pack(codec, stage1, stage2, out, detail=detail, half=half, overwrite=overwrite)
        record.model = load_bundle(out).describe()
        parts = {"codec": codec, "stage1": stage1, "stage2": stage2, "detail": detail}
        for part, run in parts.items():
            if run is None:
                continue
            record.add_input(part_folder(run, part), part=part)
            record.add_output(out / part, part=part)
    size = sum(output["bytes"] for output in record.outputs)
    finish(record, as_json, [f"{out}: {', '.join(part for part, run in parts.items() if run)}, {size / 1e6:.1f} MB"])
