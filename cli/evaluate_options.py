"""Options that evaluations share, and how their results are printed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import tell
from .output import cost, wrote

if TYPE_CHECKING:
    from ctgrid.runs.evaluation.evaluated import Evaluated

OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for results, tables and pictures.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]


def report(done: Evaluated, as_json: bool) -> None:
    """Print the run record with all rows as one JSON object, or the tables."""
    import json

    from ctgrid.runs.results.kinds import describe
    from ctgrid.runs.results.markdown import description_markdown

    content = {"rows": done.content} if isinstance(done.content, list) else done.content
    rows = content["rows"]
    if as_json:
        together = {key: value for key, value in content.items() if key not in {"kind", "rows"}}
        tell(json.dumps({**done.record.as_dict(), "results": rows, **together}))
        return
    text = description_markdown(describe(done.content))
    left_out = [f"left out: {why}" for why in done.record.results.get("left_out", ())]
    for line in (text, "", *left_out, f"{done.path}: {len(rows)} cases", cost(done.record), wrote(done.record)):
        tell(line)
