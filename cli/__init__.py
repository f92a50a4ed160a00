"""The command line of ctgrid: one file per command, each of which calls the library and reports."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from . import (
    ablation,
    attention,
    convert,
    denoise,
    doctor,
    evaluate,
    grids,
    info,
    latents,
    model,
    plan,
    prepare,
    preview,
    refine,
    report,
    simulate,
    split,
    synthesize,
    train,
    view,
)
from .errors import DEBUG, OneLineGroup, tell
from .options import example

app = typer.Typer(
    name="ctgrid",
    cls=OneLineGroup,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Synthesise and denoise chest CT volumes with grid-image diffusion transformers.",
    epilog="Exit codes: 0 done, 1 bad input or failure, 2 wrong usage, 129 hung up, 130 interrupted, 143 terminated.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from ctgrid.base.machine import version_of

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
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help=f"Show the trace of a failure ({DEBUG}).")] = False,
    strip: Annotated[
        bool, typer.Option("--strip", help="Keep no header texts, patient or study in outputs (CTGRID_STRIP).")
    ] = False,
) -> None:
    """Show the help where no command is given."""
    from ctgrid.base.heap import keep_freed
    from ctgrid.base.limits import VARIABLE
    from ctgrid.base.privacy import NO_PATHS, STRIP

    keep_freed()
    switches = {NO_PATHS: no_paths, STRIP: strip}
    asked = {VARIABLE: max_bytes, **{name: "1" for name, wanted in switches.items() if wanted}}
    os.environ.update({name: value for name, value in asked.items() if value is not None})  # for worker processes too
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


MAKE, CLEAN, MEASURE, PREPARE, TRAIN, TOOLS = "Make", "Clean", "Measure", "Prepare", "Train", "Look and convert"
_COMMANDS: tuple[tuple[str, str, Any, str], ...] = (
    (MAKE, "synthesize", synthesize, "synthesize --slices 201 --seed 3"),
    (MAKE, "refine", refine, "refine clips --model sky --out refined"),
    (MAKE, "attention", attention, "attention --out attention.png --timestep 500"),
    (CLEAN, "denoise", denoise, "denoise chest.nii.gz --strength auto"),
    (MEASURE, "ablation", ablation, "ablation positions --data scans --out runs/positions"),
    (MEASURE, "report", report, "report runs/evaluation chest.nii.gz --out report.html"),
    (PREPARE, "prepare", prepare, "prepare scans --out store --protocol canonical"),
    (PREPARE, "split", split, "split store --valid 10"),
    (PREPARE, "latents", latents, "latents store"),
    (PREPARE, "grids", grids, "grids store --out pictures"),
    (TRAIN, "train", train, "train stage1 --config embedded-stage1 --data scans --out runs/stage1"),
    (TRAIN, "plan", plan, "plan --config ct-rate-stage1"),
    (TOOLS, "view", view, "view chest.nii.gz chest_denoised.nii.gz"),
    (TOOLS, "preview", preview, "preview chest.nii.gz"),
    (TOOLS, "convert", convert, "convert series chest.nii.gz"),
    (TOOLS, "info", info, "info chest.nii.gz"),
    (TOOLS, "doctor", doctor, "doctor"),
)
for _panel, _name, _module, _example in _COMMANDS:
    app.command(_name, help=_module.__doc__, epilog=example(_example), rich_help_panel=_panel)(_module.command)
app.add_typer(evaluate.app, name="evaluate", rich_help_panel=MEASURE)
app.add_typer(simulate.app, name="simulate", rich_help_panel=MAKE)
app.add_typer(model.app, name="model", rich_help_panel=TRAIN)
