"""Predict parameters, memory and time of a training recipe, before anything runs."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from .errors import tell
from .progress import progress_bar
from .train import parse_change


def command(
    config: Annotated[str, typer.Option("--config", metavar="NAME|FILE", help="The recipe.")],
    processes: Annotated[int, typer.Option("--processes", min=1, help="Processes that share the work.")] = 1,
    rate: Annotated[
        float | None,
        typer.Option(
            "--flops-per-second",
            metavar="NUMBER",
            help="What a process sustains on the machine planned for; measured here if not given.",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe, such as optimisation.batch_size=8."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as one JSON object.")] = False,
) -> None:
    """Read the recipe, plan, print; nothing is written."""
    with progress_bar() as progress:
        progress("planning", 0, 1)
        from ctgrid.base.lean import import_diffusers

        import_diffusers()
        from ctgrid.methods.training.config import load_config
        from ctgrid.methods.training.plan import plan

        recipe = load_config(config, None, dict(parse_change(text) for text in changes or []))
        result = plan(recipe, processes=processes, flops_per_second=rate)
    if as_json:
        tell(json.dumps(result.as_dict()))
        return
    parts = ", ".join(f"{name} {value:.2f}" for name, value in result.memory.items())
    tell(f"{config}: {result.kind}, {result.parameters:,} parameters, precision {result.precision}")
    tell(f"memory of a process, data aside: {result.memory_gb:.2f} GB ({parts})")
    tell(f"an optimizer step: {result.examples_per_step} examples, {result.flops_per_step:.3g} operations each process")
    tell(f"time: {result.seconds_per_step:.3g} s a step, {result.hours:.3g} h in all ({result.basis})")
