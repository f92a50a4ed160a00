"""What one file of results tells, and what a kind of results is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ctgrid.runs.results.chart import Chart
from ctgrid.runs.results.table import Table


@dataclass(frozen=True)
class Description:
    """What results tell, for any renderer.

    Attributes:
        title: for people.
        tables: in their order.
        charts: in their order.
        notes: sentences before the tables, on all of them.
        beside: the name by which published figures are put beside; empty where there are none.
        protocol: by which was measured, as ``NAME@VERSION``; empty where it has no name that others use.
        ct: whether it is of chest CT, as published figures beside it are to be.
    """

    title: str
    tables: Sequence[Table]
    charts: Sequence[Chart] = ()
    notes: Sequence[str] = ()
    beside: str = ""
    protocol: str = ""
    ct: bool = True


@dataclass(frozen=True)
class Kind:
    """A kind of results.

    Attributes:
        name: of the kind.
        recognises: tells whether what a JSON file holds is of this kind, and is whole enough to be described.
        describe: says what it tells.
        files: names of its files in a run's folder; none where run records hold the results themselves.
    """

    name: str
    recognises: Callable[[Any], bool]
    describe: Callable[[Any], Description]
    files: tuple[str, ...] = ("results.json",)


def are_rows(rows: Any, *keys: str) -> bool:
    """Tell whether something is a list of rows, one at least, each with all of the keys."""
    return isinstance(rows, list) and bool(rows) and all(isinstance(r, dict) and set(keys) <= set(r) for r in rows)
