"""Report how well a codec gives back your own scan, in HU: the ceiling for any model in its latents."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import typer

from ctgrid.runs.models.settings import CeilingSettings

from .adapter import with_options
from .options import InputArgument, JsonOption, OfflineOption
from .output import cost, describe, finish
from .progress import progress_bar


@with_options
def command(
    ctx: typer.Context,
    source: InputArgument,
    *,
    out: Annotated[Path | None, typer.Option("--out", metavar="JSON", help="Write the record to a file.")] = None,
    settings: CeilingSettings,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
) -> None:
    """Read, encode, decode, compare."""
    from ctgrid.runs.models.ceiling import measure_ceiling
    from ctgrid.runs.results.ceiling import describe as describe_ceiling
    from ctgrid.runs.results.markdown import description_markdown

    with progress_bar() as bar:
        record = measure_ceiling(source, out, settings, argv=ctx.find_root().obj, progress=bar)
    text = description_markdown(describe_ceiling(record.results))
    what = f"{source}: {describe(SimpleNamespace(**record.inputs[0]))}, codec {record.model['name']}"
    finish(record, as_json, [what, "", text, "", cost(record)])
