"""Arguments and options that commands share and that are no settings: inputs, and what is printed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from ctgrid.base.usual import HOW, OUTPUT, Offline


def example(line: str) -> str:
    """Return what stands below a command's help."""
    return f"Example: ctgrid {line}"


OfflineOption = Annotated[bool, typer.Option("--offline", help=get_args(Offline)[1].help, rich_help_panel=HOW)]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the run record as one JSON object.", rich_help_panel=OUTPUT)
]
InputArgument = Annotated[Path, typer.Argument(metavar="IN", help="NIfTI, NRRD or MetaImage file, or a DICOM folder.")]
