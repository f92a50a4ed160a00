"""The command line of ctgrid: one file per command, each of which calls the library and reports."""

from __future__ import annotations

from typing import Annotated

import typer

from . import denoise, model, preview, synthesize, train
from .errors import OneLineGroup

app = typer.Typer(
    name="ctgrid",
    cls=OneLineGroup,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Synthesise and denoise chest CT volumes with grid-image diffusion transformers.",
    epilog="Exit codes: 0 done, 1 bad input or failure, 2 wrong usage, 130 interrupted.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from ctgrid.runs import version_of

        typer.echo(f"ctgrid {version_of('ctgrid') or '(not installed)'}")
        raise typer.Exit


@app.callback()
def main(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Show the help where no command is given."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


app.command("synthesize", help=synthesize.__doc__)(synthesize.command)
app.command("denoise", help=denoise.__doc__)(denoise.command)
app.command("train", help=train.__doc__)(train.command)
app.command("preview", help=preview.__doc__)(preview.command)
app.add_typer(model.app, name="model")
