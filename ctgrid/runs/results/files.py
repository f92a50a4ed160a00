"""Read files of results and run records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctgrid.base.documents import text_of
from ctgrid.base.errors import CtgridError, one_line
from ctgrid.runs.results.description import Description, Kind
from ctgrid.runs.results.kinds import kind_of


@dataclass(frozen=True)
class ResultsFile:
    """What one file of results holds.

    Attributes:
        path: the file.
        kind: of the results.
        content: the whole file.
        description: what they tell.
    """

    path: Path
    kind: Kind
    content: Any
    description: Description


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        CtgridError: It cannot be read, is too large for a report, or is no JSON.
    """
    text = text_of(path, "JSON")
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise CtgridError(f"{path} holds no results: it is not JSON ({type(error).__name__})") from error


def is_run(content: Any) -> bool:
    """Tell whether JSON is a run record, as every command writes it."""
    return isinstance(content, dict) and {"command", "status", "outputs"} <= set(content)


def read_results(path: Path, content: Any = None) -> ResultsFile:
    """Recognise the results in a file.

    Args:
        path: the file, for messages and titles.
        content: what it holds, where it was read already.

    Raises:
        CtgridError: It is none of ``ctgrid evaluate``'s.
    """
    content = read_json(path) if content is None else content
    kind = kind_of(content)
    if kind is None:
        raise CtgridError(
            f"{path} holds no results that a report knows; give the results.json or nodules.json of ctgrid evaluate, "
            "a run folder, or volumes"
        )
    return ResultsFile(path, kind, content, described(kind, content, path))


def described(kind: Kind, content: Any, path: Path) -> Description:
    """Return what results tell, whatever somebody else's file holds.

    Args:
        kind: of the results.
        content: as it was read.
        path: of the file, for messages.

    Raises:
        CtgridError: They look like results of the kind and are none.
    """
    try:
        return kind.describe(content)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        what = f"{type(error).__name__}: {error}"
        raise CtgridError(f"{path} holds no results of kind {kind.name} that are whole ({one_line(what)})") from error
