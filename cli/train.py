"""Train the codec or one of the two diffusion stages on a folder of CT volumes or a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ctgrid.base.files import check_folder

from .errors import say
from .options import JsonOption, MetadataOption
from .output import finish, warn
from .progress import progress_bar


def command(
    ctx: typer.Context,
    kind: Annotated[Literal["codec", "stage1", "stage2", "detail"], typer.Argument(help="What to train.")],
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR|STORE", help="Folder of CT volumes, or a store of ctgrid prepare.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="The run's folder; made if missing.")],
    config: Annotated[
        str | None,
        typer.Option("--config", metavar="NAME|FILE", help="The recipe; embedded-KIND if not given."),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            "--init",
            metavar="WEIGHTS",
            help="Start from these: DiT or GriDiT .pt, a model, run or diffusers folder; the recipe's KIND.start.",
        ),
    ] = None,
    metadata: MetadataOption = None,
    max_steps: Annotated[int | None, typer.Option("--max-steps", min=1, help="Instead of the recipe's steps.")] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, max=2**32 - 1, help="Instead of the recipe's seed.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's newest checkpoint.")] = False,
    split: Annotated[
        str | None,
        typer.Option("--split", metavar="FILE:PART", help="Only these volumes; also FILE.txt, ct-rate:train."),
    ] = None,
    fraction: Annotated[
        float | None,
        typer.Option("--fraction", metavar="PERCENT", help="Only so many of the patients; 10 are among the 60."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe, such as optimisation.steps=100."),
    ] = None,
    gray: Annotated[bool, typer.Option("--gray", help="Video recipes: luma instead of colour.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train, record."""
    from ctgrid.base.record import RunRecord, recorded
    from ctgrid.base.record_place import RECORD
    from ctgrid.runs.synthesis.ranks import Ranks

    overrides = dict(parse_change(text) for text in changes or [])
    overrides |= {f"{kind}.video.gray": True} if gray else {}
    overrides |= {f"{kind}.start": init} if init is not None else {}
    config = config or f"embedded-{kind}"
    check_folder(out)
    record = RunRecord("train", out / RECORD, ctx.obj, seed)
    record.settings = {"kind": kind, "config": config, "data": data, "resume": resume, "overrides": overrides}
    record.settings |= {"split": split, "fraction": fraction, "metadata": metadata}
    first = Ranks.here().first  # of several processes one holds the lock for all
    with recorded(record, owns=[out] if first else ()), progress_bar() as bar:

        def progress(phase: str, done: int, total: int) -> None:
            record.worth_keeping = record.worth_keeping or phase == "training"  # the run holds checkpoints
            bar(phase, done, total)

        def told(warning: str) -> None:
            warn(out, [warning])
            record.decisions.setdefault("warnings", []).append(warning)

        bar("starting", 0, 1)
        from ctgrid.methods.training.run import train

        summary = train(
            kind,
            config,
            data,
            out,
            split=split,
            fraction=fraction,
            resume=resume,
            max_steps=max_steps,
            seed=seed,
            overrides=overrides,
            metadata=metadata or (),
            notice=say,
            progress=progress,
            warn=told,
        )
        record.results = summary
        record.outputs.append({"path": str(out)})
    figures = ", ".join(f"{key} {value:.4g}" for key, value in summary.items() if isinstance(value, int | float))
    skipped = record.results.get("data", {}).get("skipped") or {}
    lines = [f"{len(skipped)} clips skipped, such as {name}: {reason}" for name, reason in [*skipped.items()][:1]]
    finish(record, as_json, [*lines, f"{out}: {kind} trained" + (f", {figures}" if figures else "")])


def parse_change(text: str) -> tuple[str, Any]:
    """Split ``key=value`` and read the value as YAML."""
    import yaml

    key, equals, value = text.partition("=")
    if not (key and equals):
        raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--set")
    try:
        return key, yaml.safe_load(value)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise typer.BadParameter(f"{text!r}: the value is not YAML", param_hint="--set") from None
