"""Compare generated volumes with real ones: distances by a protocol, CT measures, copies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.fidelity.settings import FidelityRequest

from .adapter import with_options
from .errors import say, tell
from .options import JsonOption
from .output import cost, wrote
from .progress import progress_bar

if TYPE_CHECKING:
    from ctgrid.runs.evaluation.evaluated import Evaluated

MOST_ROWS = 40
"""Of a table that is printed; table.md has all."""


@with_options
def command(
    ctx: typer.Context,
    *,
    real: Annotated[
        Path, typer.Option("--real", metavar="DIR|STORE", help="Real volumes, of other patients than those trained on.")
    ],
    fake: Annotated[Path, typer.Option("--fake", metavar="DIR|STORE", help="Generated volumes.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for results.json, table and picture.")],
    request: FidelityRequest,
    as_json: JsonOption = False,
) -> None:
    """Compare generated volumes with real ones: FVD, FID and KID by a protocol, ctgrid's features, CT measures.

    Writes results.json, table.md, run.json, with --train a picture. A run that was stopped goes on where it was.
    """
    from ctgrid.runs.evaluation.fidelity.run import compare_volumes

    request.check_places()
    try:
        request.plan()
    except CtgridError as error:  # nothing was opened yet: it is how the command was called
        raise typer.BadParameter(str(error)) from error
    with progress_bar() as progress:
        done = compare_volumes(real, fake, out, request, argv=ctx.find_root().obj, progress=progress)
    report_sets(done, as_json)


def report_sets(done: Evaluated, as_json: bool) -> None:
    """Print what two sets' comparison found, and what must be said of it."""
    from ctgrid.runs.results.kinds import describe
    from ctgrid.runs.results.markdown import description_markdown

    record, results = done.record, done.content
    for line in remarks(results):
        say(line)
    if as_json:
        tell(json.dumps({**record.as_dict(), "results": results}))
    else:
        summary = f"{done.path}: {len(results['measures'])} distances"
        for line in (description_markdown(describe(results), MOST_ROWS), "", summary, cost(record), wrote(record)):
            tell(line)
    if failed := results["failed"]:
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise CtgridError(f"{failed[0]}{more}; {done.path} holds the figures of the others")


def remarks(results: dict[str, Any]) -> list[str]:
    """Return what must be said on stderr: what was left out, and how few samples there are, in one line each."""
    fewest = results["protocol"]["settings"]["statistics"]["fewest"]
    few = {
        row["measure"]: min(row["n_real"], row["n_fake"])
        for row in results["measures"]
        if row["measure"].startswith(("FVD", "FID", "FD")) and min(row["n_real"], row["n_fake"]) < fewest
    }
    left_out = [line for line in results["left_out"] if line not in results["failed"][:1]]  # the error says the first
    lines = [*left_out, *results["warnings"], *(results.get("ct") or {}).get("warnings", [])]
    if few:
        lines.append(
            f"fewer than {fewest} samples ({min(few.values())} at the least): Fréchet distances are too large; "
            f"compare only equal numbers, and read the kernel distances beside them"
        )
    return lines
