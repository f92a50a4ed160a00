"""Settings that many commands share, said once."""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from ctgrid.base.errors import CtgridError
from ctgrid.base.families import unknown
from ctgrid.base.settings import Setting

PANELS = WHAT, HOW, WHERE, OUTPUT = "What", "How", "Where it runs", "Output"
"""Panels of the help, in its order; a setting that names none is of ``HOW``."""

MOST_FPS = 1000
"""Frames of a movie a second: each lasts a millisecond at least, the unit in which formats count."""

MOST_NOISE_HU = 1000.0
"""Of a phantom's white noise."""


def read_device(text: str) -> str:
    """Check a device's name; whether it is there is seen where it is used.

    Raises:
        CtgridError: for anything else.
    """  # noqa: DOC501
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise unknown(text, "device", ("auto", "cpu", "cuda", "cuda:N", "mps"))
    return text


def read_window(text: str) -> tuple[float, float]:
    """Read ``lo,hi`` in HU.

    Raises:
        CtgridError: for anything else.
    """
    parts = [finite(part) for part in text.split(",")]
    if len(parts) != 2 or not parts[0] < parts[1]:
        raise CtgridError(f"{text!r} is not lo,hi with lo < hi, such as -1000,400")
    return parts[0], parts[1]


def write_window(window_hu: tuple[float, float]) -> str:
    """Return a window as :func:`read_window` reads it."""
    low, high = window_hu
    return f"{low:g},{high:g}"


def finite(text: str) -> float:
    """Return a finite number, or NaN, which no comparison accepts."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_memory(text: str) -> int:
    """Read an amount of memory, such as ``4GB``, ``3.5 GiB`` or ``800M``; return bytes.

    Raises:
        CtgridError: for anything else.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?|)b?\s*", text.lower())
    value = round(float(found[1]) * _UNITS[found[2]]) if found else 0
    if value < 1:
        raise CtgridError(f"{text!r} is no amount of memory; write it like 4GB or 800MiB")
    return value


def read_memory(text: str) -> str:
    """Return an amount of memory as it is written; refuse what is none.

    Raises:
        CtgridError: see :func:`parse_memory`.
    """
    parse_memory(text)
    return text


Seed = Annotated[int, Setting("The same seed gives the same bytes.", least=0, most=2**32 - 1, panel=WHAT)]
BatchSize = Annotated[int, Setting("Slices or grids at once; less needs less memory.", least=1, panel=WHERE)]
Offline = Annotated[bool, Setting("Use no network; only commands that fetch do.")]
Deterministic = Annotated[
    bool, Setting("Compute in one thread: the same bytes on any number of cores, slower.", panel=WHERE)
]
Overwrite = Annotated[bool, Setting("Replace outputs that exist.", panel=OUTPUT)]
Device = Annotated[
    str,
    Setting(
        "Where to compute: auto, cpu, cuda, cuda:N, or mps, an Apple GPU.",
        metavar="DEVICE",
        read=read_device,
        panel=WHERE,
    ),
]
DtypeName = Literal["auto", "float32", "bfloat16", "float16"]
Dtype = Annotated[DtypeName, Setting("Number format of the networks.", panel=WHERE)]
Model = Annotated[
    str,
    Setting(
        "embedded, the model inside the package; a folder; or hub:OWNER/NAME, which ctgrid model fetch brought.",
        metavar="MODEL",
    ),
]
