"""Look at models, convert checkpoints, put trained parts together to a model that the other commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctgrid.runs.models.settings import PackSettings

from . import ceiling, model_convert, model_info, model_sources
from .adapter import with_options
from .options import JsonOption
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
@with_options
def pack(
    ctx: typer.Context,
    *,
    settings: PackSettings,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The model's folder; made if missing.")],
    as_json: JsonOption = False,
) -> None:
    """Check, copy, record."""
    from ctgrid.runs.models.run import pack_model

    record = pack_model(out, settings, argv=ctx.find_root().obj)
    size = sum(output["bytes"] for output in record.outputs)
    parts = ", ".join(output["part"] for output in record.outputs)
    finish(record, as_json, [f"{out}: {parts}, {size / 1e6:.1f} MB"])
