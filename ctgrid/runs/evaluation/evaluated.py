"""A finished evaluation, and how its texts are written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctgrid.base.files import atomic_output
from ctgrid.base.record import RunRecord

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Evaluated:
    """A finished evaluation.

    Attributes:
        record: of the run.
        content: of ``results.json``; what :func:`ctgrid.runs.results.kinds.describe` takes.
        path: of that file.
    """

    record: RunRecord
    content: Any
    path: Path


def save_text(path: Path, text: str) -> None:
    """Write text, atomically, over what was there."""
    with atomic_output(path, overwrite=True) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
