"""Options that evaluations share, and what all of them do with results: kept when interrupted, written, printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import wrote

if TYPE_CHECKING:
    from ctgrid.base.record import RunRecord

OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for results, tables and pictures.")]
SlicesOption = Annotated[
    str, typer.Option("--slices", metavar="A:B:STEP", help="Slices to measure, as in Python; all where left out.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]


@contextmanager
def kept_if_there(record: RunRecord, path: Path) -> Iterator[None]:
    """Keep the record of a run that fails after it left results behind."""
    try:
        yield
    finally:
        record.worth_keeping = path.exists()


def save_text(path: Path, text: str) -> None:
    """Write text, atomically, over what was there."""
    from ctgrid.base.files import atomic_output

    with atomic_output(path, overwrite=True) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def end(record: RunRecord, inputs: Sequence[Path], outputs: Sequence[Path]) -> None:
    """Note inputs and outputs."""
    for path in inputs:
        record.add_input(path)
    for path in outputs:
        record.add_output(path)


def report(record: RunRecord, rows: Sequence[dict[str, Any]], as_json: bool, lines: Sequence[str]) -> None:
    """Print the run record with all rows as one JSON object, or the tables."""
    import json

    if as_json:
        typer.echo(json.dumps({**record.as_dict(), "results": list(rows)}))
        return
    for line in (*lines, wrote(record)):
        typer.echo(line)
