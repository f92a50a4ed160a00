"""All kinds of results: a new one is an entry here, its description a file beside this one."""

from __future__ import annotations

from typing import Any

from ctgrid.base.errors import CtgridError
from ctgrid.runs.results.ablation import ABLATION
from ctgrid.runs.results.ceiling import CEILING
from ctgrid.runs.results.denoising import DENOISING
from ctgrid.runs.results.description import Description, Kind, are_rows
from ctgrid.runs.results.nodules import NODULES
from ctgrid.runs.results.rows import describe_rows
from ctgrid.runs.results.super_resolution import SUPER_RESOLUTION
from ctgrid.runs.results.video import VIDEO
from ctgrid.runs.results.volumes import VOLUMES

KINDS: dict[str, Kind] = {
    kind.name: kind for kind in (NODULES, DENOISING, VOLUMES, VIDEO, SUPER_RESOLUTION, ABLATION, CEILING)
}
"""By name; what two recognise is of the first."""

ROWS = Kind("rows", lambda content: _names_its_rows(content), describe_rows)
"""Whatever else names its kind and keeps its figures under ``rows``."""


def kind_of(content: Any) -> Kind | None:
    """Return the kind of what a JSON file holds, or None where it holds no results that are known."""
    return next((kind for kind in (*KINDS.values(), ROWS) if kind.recognises(content)), None)


def describe(content: Any) -> Description:
    """Say what results tell.

    Args:
        content: as in the file: the rows, or what holds them.

    Raises:
        CtgridError: They are of no kind that is known.
    """
    kind = kind_of(content)
    if kind is None:
        raise CtgridError(f"no results of {', '.join(KINDS)}, nor rows of another kind that names itself")
    return kind.describe(content)


def result_files() -> tuple[str, ...]:
    """Return the names that files of results have in a run's folder."""
    return tuple(dict.fromkeys(name for kind in (ROWS, *KINDS.values()) for name in kind.files))


def _names_its_rows(content: Any) -> bool:
    named = isinstance(content, dict) and isinstance(content.get("kind"), str)
    return named and content["kind"] not in KINDS and are_rows(content.get("rows"))
