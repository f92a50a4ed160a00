"""What others have published, as tables beside one's own; see ``published.json`` for every number's source."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ctgrid.runs.report.html.table import Column, Table

Value = int | float | str | None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Strict):
    """Where a number was read."""

    name: str
    where: str


class PublishedColumn(_Strict):
    """One measure."""

    key: str
    heading: str
    form: str
    best: Literal["high", "low"] | None


class PublishedRow(_Strict):
    """One method: None is a dash in the source, ``NOT_AT_HAND`` of the tables what is not known here.

    ``figure_from`` says whose figure it is, in tables of other papers; it is empty where the table's mark says it.
    """

    method: str
    figure_from: str = ""
    values: dict[str, Value]
    sources: list[str]


class PublishedTable(_Strict):
    """One table of the paper, or of another one for context; ``number`` is None where it is not known."""

    id: str
    number: int | None
    title: str
    mark: str
    protocol: str
    beside: list[str]
    columns: list[PublishedColumn]
    rows: list[PublishedRow]
    missing: str


class Paper(_Strict):
    """The paper whose method ctgrid builds on."""

    title: str
    authors: str
    venue: str
    url: str


class Published(_Strict):
    """The whole file."""

    about: str
    paper: Paper
    sources: dict[str, Source]
    tables: list[PublishedTable]


@cache
def published() -> Published:
    """Read the figures that come with this package."""
    text = (resources.files(__package__) / "published.json").read_text(encoding="utf-8")
    return Published.model_validate_json(text)


def published_tables(beside: str | None = None) -> list[Table]:
    """Return published figures as tables.

    Args:
        beside: a kind of result, such as "denoising", whose counterparts are wanted; None takes all.
    """
    return [_table(table) for table in published().tables if beside is None or beside in table.beside]


def _table(table: PublishedTable) -> Table:
    number = f"Table {table.number}: " if table.number is not None else ""
    of_paper = table.mark == "as published"
    unknown = "" if table.number is not None or not of_paper else " Its number in the paper is not at hand."
    cited = _cited(table)
    sources = [f"{mark} {published().sources[key].name}" for key, mark in cited.items()]
    notes = [
        f"Protocol: {table.protocol}.{unknown}",
        *([f"Not at hand: {table.missing}"] if table.missing else []),
        *([f"Read in: {'; '.join(sources)}."] if sources else []),
    ]
    told = any(row.figure_from for row in table.rows)
    return Table(
        title=f"{number}{table.title}",
        columns=[
            Column("method", "method"),
            *(Column(c.key, c.heading, c.form, c.best) for c in table.columns),
            *([Column("figure_from", "figure from")] if told else []),
            *([Column("read_in", "read in")] if cited else []),
        ],
        rows=[_cells(row, cited) for row in table.rows],
        mark=f"{table.mark}, GriDiT" if of_paper else table.mark,
        notes=notes,
    )


def _cited(table: PublishedTable) -> dict[str, str]:
    """Return the sources that a table's rows name, in the file's order, with the marks that stand for them."""
    used = [key for key in published().sources if any(key in row.sources for row in table.rows)]
    return {key: f"[{i}]" for i, key in enumerate(used, start=1)}


def _cells(row: PublishedRow, cited: dict[str, str]) -> dict[str, Value]:
    """Return a row with its sources' marks."""
    read_in = " ".join(mark for key, mark in cited.items() if key in row.sources)
    return {"method": row.method, **row.values, "figure_from": row.figure_from, "read_in": read_in}
