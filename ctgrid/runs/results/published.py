"""What others have published, as tables beside one's own; see ``published.json`` for every number's source."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ctgrid.runs.results.table import Column, Table

Value = int | float | str | None

CT = ("CT-RATE",)
"""Data sets of what is measured here."""

DATASET = "dataset"
"""Key of the column that names each row's data set, in tables of several."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Strict):
    """Where a number was read."""

    name: str
    where: str


class PublishedColumn(_Strict):
    """One measure; ``data`` is its data set where the table's columns differ in that."""

    key: str
    heading: str
    form: str
    best: Literal["high", "low"] | None
    data: str = ""


class PublishedRow(_Strict):
    """One method: None is a dash in the source, or what it does not give.

    ``figure_from`` says whose figure it is; it is empty where the table's mark says it.
    """

    method: str
    figure_from: str = ""
    values: dict[str, Value]
    sources: list[str]


class PublishedTable(_Strict):
    """One table of the paper, or of another one for context.

    Attributes:
        number: in the paper; None for tables of others.
        mark: whose figures they are.
        protocol: how they were measured, as far as the source says.
        data: the data set, unless columns or rows name theirs.
        beside: kinds of results that the table stands beside.
        agrees_with: protocols, as ``NAME@VERSION``, that measure the same.
        contradictions: what the paper says otherwise elsewhere.
        uncertain: what could not be read with certainty.
        missing: what is known to be left out.
    """

    id: str
    number: int | None
    title: str
    mark: str
    protocol: str
    data: str
    beside: list[str]
    agrees_with: list[str]
    contradictions: list[str]
    uncertain: list[str]
    missing: str
    columns: list[PublishedColumn]
    rows: list[PublishedRow]

    @property
    def of_paper(self) -> bool:
        """Whether it is a table of the paper whose method this is."""
        return self.number is not None

    def part(self, ct: bool) -> PublishedTable | None:
        """Return the rows and columns that are of chest CT, or those of other data sets; None where there are none."""

        def wanted(data: str) -> bool:
            return not data or ct == (data in CT)

        rows = [row for row in self.rows if wanted(str(row.values.get(DATASET) or self.data))]
        columns = [column for column in self.columns if wanted(column.data)]
        return self.model_copy(update={"rows": rows, "columns": columns}) if rows else None


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


def published_tables(beside: str | None = None, *, ct: bool | None = None, protocol: str = "") -> list[Table]:
    """Return published figures as tables.

    Args:
        beside: a kind of results, such as "denoising", whose counterparts are wanted; None takes all.
        ct: only what is of chest CT, or only what is of other data sets; None takes both.
        protocol: by which one's own were measured; what was measured otherwise is marked as of another protocol.
    """
    chosen = [table for table in published().tables if beside is None or beside in table.beside]
    parts = chosen if ct is None else [part for table in chosen if (part := table.part(ct)) is not None]
    return [_table(table, beside is not None and protocol not in table.agrees_with) for table in parts]


def _table(table: PublishedTable, otherwise: bool) -> Table:
    number = f"Table {table.number}: " if table.of_paper else ""
    mark = f"{table.mark}, GriDiT" if table.of_paper else table.mark
    cited = _cited(table)
    sources = [f"{sign} {published().sources[key].name}".strip() for key, sign in cited.items()]
    notes = [f"Protocol: {table.protocol}."]
    if table.contradictions:
        notes.append(f"The paper contradicts itself. {' '.join(table.contradictions)}")
    if table.uncertain:
        notes.append(f"Uncertain. {' '.join(table.uncertain)}")
    if table.missing:
        notes.append(f"Left out: {table.missing}")
    if sources:
        notes.append(f"Read in: {'; '.join(sources)}.")
    told = any(row.figure_from for row in table.rows)
    mixed = len({row.values.get(DATASET) for row in table.rows}) > 1
    return Table(
        title=f"{number}{table.title}",
        columns=[
            Column("method", "method"),
            *(Column(c.key, c.heading, c.form, None if mixed else c.best) for c in table.columns),
            *([Column("figure_from", "figure from")] if told else []),
            *([Column("read_in", "read in")] if len(cited) > 1 else []),
        ],
        rows=[_cells(row, cited) for row in table.rows],
        mark=f"{mark}: another protocol" if otherwise else mark,
        notes=notes,
    )


def _cited(table: PublishedTable) -> dict[str, str]:
    """Return the sources that a table's rows name, in the file's order, with the signs that tell several apart."""
    used = [key for key in published().sources if any(key in row.sources for row in table.rows)]
    if len(used) == 1:
        return {used[0]: ""}
    return {key: f"[{i}]" for i, key in enumerate(used, start=1)}


def _cells(row: PublishedRow, cited: dict[str, str]) -> dict[str, Value]:
    """Return a row with its sources' signs."""
    read_in = " ".join(sign for key, sign in cited.items() if key in row.sources)
    return {"method": row.method, **row.values, "figure_from": row.figure_from, "read_in": read_in}
