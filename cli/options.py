"""Options of commands that take no dataclass of settings yet; what is said of them is said with the settings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import Setting
from ctgrid.base.usual import (
    OUTPUT,
    BatchSize,
    Device,
    DtypeName,
    Overwrite,
    Seed,
    read_device,
    read_window,
    write_window,
)
from ctgrid.scan.hu.modes import HuMode
from ctgrid.scan.reading import Hu, Metadata

Dtype = DtypeName


def _said(setting: Any) -> Setting:
    """Return what is said of a shared setting."""
    found: Setting = get_args(setting)[1]
    return found


def _help(setting: Any) -> str:
    return _said(setting).help


SeedOption = Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help=_help(Seed))]
BatchOption = Annotated[int, typer.Option("--batch-size", min=1, help=_help(BatchSize))]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Use no network; only ctgrid model fetch ever does.")]
HuOption = Annotated[HuMode, typer.Option("--hu", help=_help(Hu))]
MetadataOption = Annotated[list[Path] | None, typer.Option("--metadata", metavar="CSV", help=_help(Metadata))]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help=_help(Overwrite))]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the run record as one JSON object.", rich_help_panel=OUTPUT)
]
InputArgument = Annotated[Path, typer.Argument(metavar="IN", help="NIfTI, NRRD or MetaImage file, or a DICOM folder.")]


def choice(flag: str, table: Iterable[str], help: str) -> Any:
    """Make an option that takes a name of a table, whoever has put it there."""

    def parse(text: str) -> str:
        if text not in table:
            raise typer.BadParameter(f"{text!r} is not one of {', '.join(map(repr, table))}.")
        return text

    return typer.Option(flag, parser=parse, metavar=f"<{'|'.join(table)}>", help=help)


def parse_device(text: str) -> str:
    """Check a device's name; whether it is there is seen where it is used."""
    try:
        return read_device(text)
    except CtgridError as error:
        raise typer.BadParameter(str(error)) from None


DeviceOption = Annotated[
    str,
    typer.Option("--device", metavar=_said(Device).metavar, parser=parse_device, help=_help(Device)),
]


def parse_window(text: str) -> tuple[float, float]:
    """Read ``lo,hi`` in HU."""
    try:
        return read_window(text)
    except CtgridError as error:
        raise typer.BadParameter(str(error)) from None


window_text = write_window
