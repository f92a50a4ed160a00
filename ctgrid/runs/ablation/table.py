"""An ablation's results as figures by variant, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.runs.ablation.measures import MEASURES, Measure

if TYPE_CHECKING:
    from ctgrid.runs.ablation.measures import Reference

ARROWS = {"lower": "↓", "higher": "↑", "real": "→ real"}


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


def markdown(results: dict[str, Any]) -> str:
    """Return an ablation's report.

    Args:
        results: what ``results.json`` holds.
    """
    seeds = results["seeds"]
    lines = [f"## {results['title']}", "", results["question"], ""]
    if not results["complete"]:
        lines += ["**Not complete**: rows are missing.", ""]
    lines += [*_table(results), "", _reading(results), ""]
    if results["note"]:
        lines += [results["note"], ""]
    lines += [
        f"Each figure is the mean of {seeds} training{'s' if seeds > 1 else ''}"
        + (" with the least and the greatest in brackets" if seeds > 1 else "")
        + f"; each training gives {results['sampling']['samples']} volumes. "
        + f"Held out: {', '.join(results['held_out'])}. Trained on: {', '.join(results['training'])}.",
        "",
        "| variant | what it is | parameters | tokens | passes | patients | steps | training, s | sampling, s |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_facts(variant, results["rows"]) for variant in results["variants"]),
    ]
    return "\n".join(lines) + "\n"


def _table(results: dict[str, Any]) -> list[str]:
    shown = [m for m in MEASURES if any(m.key in values for values in results["summary"].values())]
    lines = [
        "| variant | " + " | ".join(f"{m.title} {ARROWS[m.better]}" for m in shown) + " | codec alone, FD |",
        "|---" * (len(shown) + 2) + "|",
    ]
    for variant in results["variants"]:
        values = results["summary"].get(variant["name"])
        if values is not None:
            cells = [_cell(values.get(m.key), m) for m in shown] + [_cell(values.get("codec_fd"), MEASURES[0])]
            lines.append(f"| {variant['name']} | " + " | ".join(cells) + " |")
    for name, label in (("training", "real: training patients"), ("held_out", "real: held-out patients")):
        values = results["reference"][name]
        cells = [f"{values[m.key]:.{m.digits}f}" if values.get(m.key) is not None else "–" for m in shown]
        lines.append(f"| *{label}* | " + " | ".join(cells) + " | – |")
    return lines


def _cell(value: dict[str, float] | None, measure: Measure) -> str:
    if value is None:
        return "–"
    digits = measure.digits
    mean = f"{value['mean']:.{digits}f}"
    return mean if value["min"] == value["max"] else f"{mean} ({value['min']:.{digits}f} … {value['max']:.{digits}f})"


def _reading(results: dict[str, Any]) -> str:
    side = results["measuring"]["side_px"]
    meanings = "; ".join(f"**{m.title}**: {m.meaning}" for m in MEASURES)
    return (
        f"All slices are compared at {side} × {side} pixels, samples straight from stage 1 (no stage 2). {meanings}; "
        "**codec alone**: FD of held-out slices that were only shrunk to cells, encoded and decoded."
    )


def _facts(variant: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    those = [row for row in rows if row["variant"] == variant["name"]]
    if not those:
        return f"| {variant['name']} | {variant['says']} |" + " – |" * 7
    one = those[0]
    trained = [row["train_seconds"] for row in those if row["train_seconds"] is not None]
    cells = [
        f"{one['parameters'] / 1e6:.2f} M",
        one["tokens"],
        one["passes"],
        one["training_patients"],
        one["steps"],
        f"{np.mean(trained):.0f}" if trained else f"as {one['model'].rpartition('-')[0]}",
        f"{np.mean([row['sample_seconds'] for row in those]):.0f}",
    ]
    return f"| {variant['name']} | {variant['says']} | " + " | ".join(map(str, cells)) + " |"
