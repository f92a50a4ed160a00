"""Train, sample and measure the variants of one of the paper's ablations, and report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctgrid.runs.training.settings import AblationSettings

from .adapter import with_options
from .options import JsonOption
from .output import cost, finish
from .progress import progress_bar


@with_options
def command(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE",
            help="positions, k, k-paper, control-rows, data-fraction, data-claim, naive, naive-3d, or a YAML file.",
        ),
    ],
    *,
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR|STORE", help="Folder of CT volumes, or a store of ctgrid prepare.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder of results and runs; ablation-NAME if not given."),
    ] = None,
    settings: AblationSettings,
    as_json: JsonOption = False,
) -> None:
    """Train, sample, measure, draw, record."""
    from ctgrid.runs.ablation.recorded import compare_variants
    from ctgrid.runs.ablation.summary import report

    with progress_bar() as bar:
        record = compare_variants(name, data, out, settings, argv=ctx.obj, progress=bar)
    done = f"{record.path.parent}: {len(record.results['rows'])} trainings measured"
    finish(record, as_json, [report(record.results), done, cost(record)])
