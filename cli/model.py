"""Look at models, convert checkpoints, put trained parts together to a model that the other commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctgrid.runs.models.settings import PackSettings

from . import ceiling, model_calibrate, model_convert, model_info, model_sources
from .adapter import with_options
from .options import JsonOption, example
from .output import finish

app = typer.Typer(help=__doc__, invoke_without_command=True)


@app.callback()
def main(ctx: typer.Context) -> None:
    """Show the help where no command is given."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


for _name, _help, _command, _example in (
    ("info", model_info.__doc__, model_info.command, "embedded"),
    ("convert", model_convert.__doc__, model_convert.command, "DiT-XL-2-256x256.pt --out dit"),
    ("list", model_sources.list_command.__doc__, model_sources.list_command, "--json"),
    ("fetch", model_sources.fetch_command.__doc__, model_sources.fetch_command, "hub:stabilityai/sd-vae-ft-mse"),
    ("verify", model_sources.verify_command.__doc__, model_sources.verify_command, "embedded"),
    ("calibrate", model_calibrate.__doc__, model_calibrate.command, "mine --data clean_scans"),
    ("ceiling", ceiling.__doc__, ceiling.command, "chest.nii.gz --codec embedded"),
):
    app.command(_name, help=_help, epilog=example(f"model {_name} {_example}"))(_command)


@app.command(
    "pack",
    help="Put codec, stage 1 and stage 2 (training runs or model folders) into one model folder.",
    epilog=example("model pack --codec embedded --stage1 runs/stage1 --stage2 runs/stage2 --out mine"),
)
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
