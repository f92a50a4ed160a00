"""Train, sample and measure the variants of one of the paper's ablations, and report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ctgrid.base.files import check_folder

from .options import JsonOption
from .output import cost, finish
from .progress import progress_bar
from .train import parse_change


def command(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE", help="positions, k, k-paper, control-rows, data-fraction, naive, or a YAML file."
        ),
    ],
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR|STORE", help="Folder of CT volumes, or a store of ctgrid prepare.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder of results and runs; ablation-NAME if not given."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", metavar="FILE:train", help="Train on this part, compare with valid; else drawn."),
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option("--max-steps", min=1, help="Stop each training after so many.")
    ] = None,
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help="Trainings of each variant.")] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change every variant's recipe; as in ctgrid train."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Keep what is done in --out, and go on.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train, sample, measure, draw, record."""
    from ctgrid.base.extras import require
    from ctgrid.base.files import atomic_output
    from ctgrid.base.record import RunRecord, recorded
    from ctgrid.base.record_place import RECORD
    from ctgrid.runs.ablation.pictures import draw_ablation
    from ctgrid.runs.ablation.run import RESULTS, run_ablation
    from ctgrid.runs.ablation.summary import report as report_of

    folder = Path(f"ablation-{Path(name).stem}") if out is None else out
    check_folder(folder)
    require("matplotlib")
    overrides: dict[str, Any] = dict(parse_change(text) for text in changes or [])
    record = RunRecord("ablation", folder / RECORD, ctx.obj)
    record.settings = {"name": name, "data": data, "split": split, "max_steps": max_steps, "seeds": seeds}
    record.settings |= {"overrides": overrides, "resume": resume}
    with recorded(record, owns=[folder]), progress_bar() as bar:

        def progress(phase: str, done: int, total: int) -> None:
            record.worth_keeping = record.worth_keeping or "training" in phase  # checkpoints lie there
            bar(phase, done, total)

        with record.timed("ablation"):
            results = run_ablation(
                name,
                data,
                folder,
                split=split,
                seeds=seeds,
                max_steps=max_steps,
                overrides=overrides,
                resume=resume,
                progress=progress,
            )
        with record.timed("draw"):
            pictures = draw_ablation(results, folder)
        report = report_of(results)
        with atomic_output(folder / "report.md", overwrite=True) as temporary:
            temporary.write_text(report, encoding="utf-8")
        for path in (folder / RESULTS, folder / "report.md", *pictures):
            record.add_output(path)
        record.results = results
    finish(record, as_json, [report, f"{folder}: {len(results['rows'])} trainings measured", cost(record)])
