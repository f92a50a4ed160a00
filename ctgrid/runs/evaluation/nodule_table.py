"""The results of planted nodules as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ctgrid.runs.evaluation.nodule_trial import mean_recovered
from ctgrid.runs.evaluation.nodules import CONTRASTS_HU, DIAMETERS_MM
from ctgrid.runs.evaluation.table import markdown, number


def nodule_tables(rows: Sequence[dict[str, Any]]) -> str:
    """Return one table for each volume and noise: contrast recovered by size and by contrast, false structures.

    Args:
        rows: as in ``nodules.json``.
    """
    kinds = [(d, 200.0) for d in DIAMETERS_MM] + [(6.0, c) for c in CONTRASTS_HU if c != 200.0]
    headings = ["method", *(f"{d:g} mm {c:g} HU" for d, c in kinds), "false / l", "lost / l", "s"]
    parts = []
    for volume, noise in dict.fromkeys((row["volume"], row["noise"]) for row in rows):
        chosen = [row for row in rows if (row["volume"], row["noise"]) == (volume, noise)]
        body = [
            [
                row["method"],
                *(number(mean_recovered(row["nodules"], d, c), ".0%") for d, c in kinds),
                number(row["false_per_litre"], ".1f"),
                number(row["lost_per_litre"], ".1f"),
                number(row["seconds"], ".1f"),
            ]
            for row in chosen
        ]
        first = chosen[0]
        title = (
            f"{volume}, {noise}: contrast recovered of {len(first['nodules'])} nodules planted in "
            f"{first['lung_litres']:.2f} l of lung, and structures that are false or lost"
        )
        parts.append(f"{title}\n\n" + markdown(headings, body))
    return "\n\n".join(parts)
