"""Train the codec, one of the two stages or the detail network on a folder of CT volumes or a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ctgrid.runs.training.settings import TrainSettings

from .adapter import with_options
from .errors import say
from .options import JsonOption
from .output import finish
from .progress import progress_bar


@with_options
def command(
    ctx: typer.Context,
    kind: Annotated[Literal["codec", "stage1", "stage2", "detail"], typer.Argument(help="What to train.")],
    *,
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR|STORE", help="Folder of CT volumes, or a store of ctgrid prepare.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="The run's folder; made if missing.")],
    settings: TrainSettings,
    as_json: JsonOption = False,
) -> None:
    """Train, record."""
    from ctgrid.runs.training.run import train_model

    with progress_bar() as bar:
        record = train_model(
            kind,
            data,
            out,
            settings,
            argv=ctx.obj,
            notice=say,
            progress=bar,
        )
    summary = record.results
    figures = ", ".join(f"{key} {value:.4g}" for key, value in summary.items() if isinstance(value, int | float))
    skipped = summary.get("data", {}).get("skipped") or {}
    lines = [f"{len(skipped)} clips skipped, such as {name}: {reason}" for name, reason in [*skipped.items()][:1]]
    finish(record, as_json, [*lines, f"{out}: {kind} trained" + (f", {figures}" if figures else "")])
