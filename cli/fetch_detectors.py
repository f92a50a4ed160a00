"""Download the detectors of FVD and FID, which nothing else ever does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ctgrid.base.errors import CtgridError

from .errors import tell
from .options import JsonOption, OfflineOption
from .progress import progress_bar

PinOption = Annotated[
    list[str] | None,
    typer.Option("--pin-detector", metavar="NAME=SHA256", help="Refuse a detector file of another hash; repeatable."),
]


def command(
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="FILE", help="Only this detector file; repeatable.")
    ] = None,
    address: Annotated[
        list[str] | None, typer.Option("--url", metavar="FILE=URL", help="Fetch a file from here instead; repeatable.")
    ] = None,
    pin: PinOption = None,
    folder: Annotated[
        Path | None, typer.Option("--detectors", metavar="DIR", help="Where to; CTGRID_HOME/detectors if left out.")
    ] = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
) -> None:
    """Download the TorchScript detectors of FVD and FID, from where StyleGAN-V's and NVIDIA's code names them.

    Their licences are their owners'. The hash of what came is printed for you to pin; ctgrid knows no published one.
    """
    from ctgrid.runs.evaluation.fidelity.detectors import parse_pins
    from ctgrid.runs.evaluation.fidelity.fetch import ADDRESSES, fetch_detectors

    addresses = {}
    for text in address or []:
        name, found, url = text.partition("=")
        if not found or not url.startswith(("http://", "https://")):
            raise CtgridError(f"--url {text!r}: write FILE=https://…")
        addresses[name] = url
    names = tuple(only or {**ADDRESSES, **addresses})
    pins = parse_pins(list(pin or []))
    with progress_bar() as bar:
        fetched = fetch_detectors(names, folder=folder, addresses=addresses, pins=pins, offline=offline, progress=bar)
    if as_json:
        tell(json.dumps({"detectors": fetched}))
        return
    for file in fetched:
        how = "already here" if file["already_here"] else f"fetched from {file['address']}"
        checked = "as pinned" if file["pinned"] else "compared with nothing"
        tell(f"{file['path']}: {how}, {file['bytes'] / 1e6:.1f} MB, SHA-256 {file['sha256']} ({checked})")
