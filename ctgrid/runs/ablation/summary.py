"""An ablation's results together: figures by variant, what real volumes get, a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.runs.results.ablation import MEASURES, describe
from ctgrid.runs.results.markdown import description_markdown

if TYPE_CHECKING:
    from ctgrid.runs.ablation.measures import Reference


def summary_of(rows: Sequence[dict[str, Any]], variants: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the mean over seeds of every measure, and its least and greatest value, by variant.

    Args:
        rows: one for each variant and seed.
        variants: in the order wanted; those without a row are left out.
    """
    summary: dict[str, dict[str, Any]] = {}
    for name in variants:
        those = [row for row in rows if row["variant"] == name]
        if not those:
            continue
        summary[name] = {"seeds": len(those)}
        for key in [m.key for m in MEASURES] + ["codec_fd", "codec_kd"]:
            values = [row[key] for row in those if row.get(key) is not None]
            if values:
                summary[name][key] = {"mean": float(np.mean(values)), "min": min(values), "max": max(values)}
    return summary


def reference_row(reference: Reference) -> dict[str, Any]:
    """Return what real volumes get: training patients as if they were samples, and held-out patients' own values.

    Distances are between different real patients: what a model can reach at best with so few.
    """
    training = reference.measure(reference.training)
    order = reference.measure(reference.held_out)
    return {
        "training": {key: training[key] for key in ("fd", "kd", "step_hu", "step_wasserstein_hu")},
        "held_out": {key: order[key] for key in ("z_spearman", "step_hu")},
    }


def report(results: dict[str, Any]) -> str:
    """Return what ``results.json`` holds as a report in Markdown."""
    described = describe(results)
    return f"## {results['title']}\n\n{description_markdown(described)}\n"
