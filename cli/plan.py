"""Predict parameters, memory and time of a training recipe, before anything runs."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ctgrid.runs.training.settings import PlanSettings

from .adapter import with_options
from .errors import tell
from .progress import progress_bar


@with_options
def command(
    *,
    settings: PlanSettings,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as one JSON object.")] = False,
) -> None:
    """Read the recipe, plan, print; nothing is written."""
    from ctgrid.runs.training.run import plan_training

    with progress_bar() as progress:
        result = plan_training(settings, progress=progress)
    if as_json:
        tell(json.dumps(result.as_dict()))
        return
    parts = ", ".join(f"{name} {value:.2f}" for name, value in result.memory.items())
    tell(f"{settings.config}: {result.kind}, {result.parameters:,} parameters, precision {result.precision}")
    tell(f"memory of a process, data aside: {result.memory_gb:.2f} GB ({parts})")
    tell(f"an optimizer step: {result.examples_per_step} examples, {result.flops_per_step:.3g} operations each process")
    tell(f"time: {result.seconds_per_step:.3g} s a step, {result.hours:.3g} h in all ({result.basis})")
