"""Pictures of a super-resolution evaluation: the middle slice of every volume, by every method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctgrid.runs.evaluation.plots import cases_of, draw_comparison
from ctgrid.runs.evaluation.super_resolution import TRUTH, condition_of


def draw_super_resolution(rows: Sequence[dict[str, Any]], out: Path) -> list[Path]:
    """Draw the middle slice of every volume: the original, every method's, and what each is off.

    Args:
        rows: as in ``results.json``.
        out: the evaluation's folder.

    Returns:
        The files written.
    """
    paths = []
    for case in cases_of(rows, out, lambda row: condition_of(row["k"], row["through_codec"]), TRUTH):
        title = f"{case.volume}, {case.condition} super-resolution"
        paths += draw_comparison(case, title, TRUTH)
    return paths
