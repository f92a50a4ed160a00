"""The command line of ctgrid: one file per command, each of which calls the library and reports."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from . import (
    ablation,
    attention,
    convert,
    denoise,
    evaluate,
    grids,
    info,
    latents,
    model,
    plan,
    prepare,
    preview,
    report,
    simulate,
    split,
    synthesize,
    train,
)
from .errors import OneLineGroup, tell

app = typer.Typer(
    name="ctgrid",
    cls=OneLineGroup,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Synthesise and denoise chest CT volumes with grid-image diffusion transformers.",
    epilog="Exit codes: 0 done, 1 bad input or failure, 2 wrong usage, 129 hung up, 130 interrupted, 143 terminated.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from ctgrid.base.record import version_of

        tell(f"ctgrid {version_of('ctgrid') or '(not installed)'}")
        raise typer.Exit


def _size(text: str) -> str:
    from ctgrid.base.errors import CtgridError
    from ctgrid.base.limits import parse_bytes

    try:
        return str(parse_bytes(text))
    except CtgridError as error:
        raise typer.BadParameter(str(error)) from error


@app.callback()
def main(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
    max_bytes: Annotated[
        str | None,
        typer.Option(
            "--max-bytes",
            metavar="SIZE",
            parser=_size,
            help="What one input may unpack to, such as 6G (default 2G, or CTGRID_MAX_BYTES).",
        ),
    ] = None,
    no_paths: Annotated[
        bool, typer.Option("--no-paths", help="Keep names and paths of files out of every record (CTGRID_NO_PATHS).")
    ] = False,
    strip: Annotated[
        bool, typer.Option("--strip", help="Keep no header texts, patient or study in outputs (CTGRID_STRIP).")
    ] = False,
) -> None:
    """Show the help where no command is given."""
    from ctgrid.base.limits import VARIABLE
    from ctgrid.base.privacy import NO_PATHS, STRIP

    asked = {VARIABLE: max_bytes, NO_PATHS: "1" if no_paths else None, STRIP: "1" if strip else None}
    os.environ.update({name: value for name, value in asked.items() if value is not None})  # for worker processes too
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


app.command("synthesize", help=synthesize.__doc__)(synthesize.command)
app.command("denoise", help=denoise.__doc__)(denoise.command)
app.command("train", help=train.__doc__)(train.command)
app.command("ablation", help=ablation.__doc__)(ablation.command)
app.command("attention", help=attention.__doc__)(attention.command)
app.command("plan", help=plan.__doc__)(plan.command)
app.command("prepare", help=prepare.__doc__)(prepare.command)
app.command("preview", help=preview.__doc__)(preview.command)
app.command("report", help=report.__doc__)(report.command)
app.command("convert", help=convert.__doc__)(convert.command)
app.command("info", help=info.__doc__)(info.command)
app.command("grids", help=grids.__doc__)(grids.command)
app.command("latents", help=latents.__doc__)(latents.command)
app.command("split", help=split.__doc__)(split.command)
app.add_typer(model.app, name="model")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(simulate.app, name="simulate")
