"""Options that several commands share, defined once."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ctgrid.scan.hu.modes import HuMode

Dtype = Literal["auto", "float32", "bfloat16", "float16"]

SeedOption = Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="The same seed gives the same bytes.")]
StepsOption = Annotated[
    int | None, typer.Option("--steps", min=1, help="Sampler steps of stage 1 (coarse); the model's own unless given.")
]
RefineStepsOption = Annotated[int, typer.Option("--refine-steps", min=1, help="Sampler steps of stage 2 (full size).")]
BatchOption = Annotated[
    int, typer.Option("--batch-size", min=1, help="Slices or grids at once; less needs less memory.")
]
DtypeOption = Annotated[Dtype, typer.Option("--dtype", help="Number format of the networks.")]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="embedded|DIR|hub:OWNER/NAME",
        help="The model inside the package, a folder, or one that ctgrid model fetch brought.",
    ),
]
Stage1Option = Annotated[
    Path | None,
    typer.Option("--stage1", metavar="RUN", help="Take stage 1 from a training run, or a folder, not from the model."),
]
Stage2Option = Annotated[Path | None, typer.Option("--stage2", metavar="RUN", help="Likewise stage 2.")]
CodecOption = Annotated[
    str | None,
    typer.Option("--codec", metavar="RUN|NAME", help="Likewise the codec; else the one that those were trained with."),
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Use no network; only ctgrid model fetch ever does.")]
SizeOption = Annotated[
    int | None, typer.Option("--size", min=1, help="Pixels of a slice's side; the model's own if not given.")
]
HuOption = Annotated[HuMode, typer.Option("--hu", help="How stored values become HU; auto decides by evidence.")]
MetadataOption = Annotated[
    list[Path] | None,
    typer.Option("--metadata", metavar="CSV", help="Table with VolumeName, RescaleSlope, ...; repeatable."),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the run record as one JSON object.")]
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
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise typer.BadParameter(f"{text!r} is none of auto, cpu, cuda, cuda:N and mps")
    return text


DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda|cuda:N|mps",
        parser=parse_device,
        help="Where to compute; mps is an Apple GPU.",
    ),
]


def parse_strength(text: str) -> float | Literal["auto"]:
    """Read ``auto`` or a number of HU, 0 or more."""
    if text == "auto":
        return "auto"
    value = _number(text)
    if not value >= 0:
        raise typer.BadParameter(f"{text!r} is neither 'auto' nor a number of HU, 0 or more")
    return value


def parse_window(text: str) -> tuple[float, float]:
    """Read ``lo,hi`` in HU."""
    parts = [_number(part) for part in text.split(",")]
    if len(parts) != 2 or not parts[0] < parts[1]:
        raise typer.BadParameter(f"{text!r} is not lo,hi with lo < hi, such as -1000,400")
    return parts[0], parts[1]


def window_text(window_hu: tuple[float, float]) -> str:
    """Return a window as :func:`parse_window` reads it."""
    low, high = window_hu
    return f"{low:g},{high:g}"


def _number(text: str) -> float:
    """Return a finite number, or NaN, which no comparison accepts."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
