"""Describe a scan, a DICOM folder or archive with all its series, or a store; nothing is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ctgrid.runs.scans.settings import InfoSettings

from .adapter import with_options
from .described import commands_of, described
from .errors import tell
from .output import warn
from .progress import progress_bar


@with_options
def command(
    ctx: typer.Context,
    source: Annotated[
        Path | None,
        typer.Argument(metavar="IN", help="A scan (NIfTI, NRRD, MetaImage, DICOM folder or .zip), or a store."),
    ] = None,
    *,
    settings: InfoSettings,
    capabilities: Annotated[
        bool,
        typer.Option(
            "--capabilities",
            help="Describe this installation instead: commands (--json: options too), formats, methods, models.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Read, describe, print."""
    from ctgrid.runs.scans.info import describe_source

    if capabilities == (source is not None):
        raise typer.BadParameter("give a scan or a store, or --capabilities", param_hint="IN")
    if source is None:
        _print_capabilities(ctx, as_json)
        return
    with progress_bar() as progress:
        description = describe_source(source, settings, progress=progress)
    warn(source, description.get("warnings", []))
    if as_json:
        tell(json.dumps(description))
        return
    lines = list(_store_lines(description) if "kind" in description else _lines(description))
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        tell(f"{name:<{width}}  {value}".rstrip())


def _print_capabilities(ctx: typer.Context, as_json: bool) -> None:
    from ctgrid.runs.capabilities import capabilities

    commands = dict(commands_of(ctx.find_root().command))
    found = {"commands": list(commands), **capabilities()}
    if as_json:
        tell(json.dumps({**found, "options": {name: described(command) for name, command in commands.items()}}))
        return
    width = max(map(len, found))
    for name, value in found.items():
        parts = (
            [f"{key} {', '.join(map(str, of)) if isinstance(of, list) else of}" for key, of in value.items()]
            if (isinstance(value, dict))
            else value
        )
        tell(f"{name.replace('_', ' '):<{width}}  {', '.join(map(str, parts))}")


def _lines(d: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what people want to know first, x, y, z in the order people write them."""
    yield "path", d["path"]
    yield "format", f"{d['format']}, {d['dtype']}"
    yield "voxels", " x ".join(str(n) for n in reversed(d["shape"])) + " (x, y, z)"
    yield "spacing", " x ".join(f"{mm:.4g}" for mm in reversed(d["spacing_mm"])) + " mm"
    yield "field of view", " x ".join(f"{mm:.1f}" for mm in reversed(d["field_of_view_mm"])) + " mm"
    yield "orientation", d["orientation"] + (", sheared" if d["sheared"] else "")
    hu, values = d["hu"], d["values"]
    if hu["source"] is None:
        yield "HU", f"cannot be told: {hu['problem']}"
    else:
        file = f", from {hu['file']}" if hu.get("file") else ""
        sure = "" if hu["confirmed"] else ", not confirmed"
        yield "HU", f"{hu['source']}, slope {hu['slope']:g}, intercept {hu['intercept']:g}{file}{sure}"
    if values["min"] is None:
        yield "values", "none is finite"
    else:
        yield "values", f"{values['min']:g} to {values['max']:g} {values['unit']}, mean {values['mean']:g}"
        yield "percentiles", ", ".join(f"{p} %: {v:g}" for p, v in values["percentiles"].items())
    if values["not_finite"]:
        yield "not finite", f"{values['not_finite']} voxels are NaN or infinite"
    details = d["details"]
    for name in ("manufacturer", "manufacturer_model", "kernel", "transfer_syntax"):
        if details.get(name):
            yield name.replace("_", " "), str(details[name])
    for note in [*d["warnings"], *details.get("notes", [])]:
        yield "note", note
    for item in details.get("series_list", []):
        rest = "chosen" if item["chosen"] else item["reason"]
        what = f"{item['modality']}, {item['files']} files, {item['description'] or 'no description'}"
        yield f"series {item['number']}", f"{what}: {rest}"


def _store_lines(description: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in description.items():
        yield name, value if isinstance(value, str) else json.dumps(value)
