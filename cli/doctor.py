"""Say what this computer is, which precision will be used, what is missing; and try the tool for ten seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from ctgrid.runs.doctor import DoctorSettings

from .adapter import with_options
from .errors import FAILURE, tell
from .progress import progress_bar


@with_options
def command(
    *,
    settings: DoctorSettings,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look, try, print; exit 1 where something stands in the way."""
    from ctgrid.runs.doctor import examine

    with progress_bar() as progress:
        found = examine(settings.self_test, progress)
    if as_json:
        tell(json.dumps(found))
    else:
        lines = list(_lines(found))
        width = max(len(name) for name, _ in lines)
        for name, value in lines:
            tell(f"{name:<{width}}  {value}".rstrip())
        tell("all is well" if found["ok"] else f"{len(found['problems'])} problems, see above")
    if not found["ok"]:
        raise typer.Exit(FAILURE)


def _lines(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    known, processor = found["versions"], found["processor"]
    yield "versions", ", ".join(f"{name} {known[name]}" for name in ("ctgrid", "python", "torch", "numpy", "diffusers"))
    yield "system", str(known["platform"])
    yield "processor", f"{processor['name']}, {processor['cores']} cores, {processor['threads']} threads"
    yield "multiplies in", ", ".join(processor["formats"])
    yield "GPU", ", ".join(found["gpus"]) or "none"
    yield "will use", f"{found['device']}, {found['precision']}"
    for name in ("cache", "working_folder"):
        yield name.replace("_", " "), f"{found[name]['folder']}, {found[name]['free_gb']:.1f} GB free"
    for extra, missing in found["extras"].items():
        told = f"lacks {', '.join(missing)}: pip install 'ctgrid[{extra}]'" if missing else "there"
        yield f"extra {extra}", told
    for part in found["self_test"] or ():
        yield part["name"], f"{part['seconds']:.1f} s" if part["ok"] else f"failed: {part['problem']}"
    for problem in found["problems"]:
        yield "problem", problem
