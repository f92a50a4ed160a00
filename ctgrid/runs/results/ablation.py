"""Results of ``ctgrid ablation``: figures by variant beside those of real volumes, and what each variant is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ctgrid.runs.results.chart import Bars, Chart
from ctgrid.runs.results.description import Description, Kind
from ctgrid.runs.results.rows import Row, mean, present, sentences
from ctgrid.runs.results.table import Column, Table, is_number


@dataclass(frozen=True)
class Measure:
    """One figure of a variant.

    Attributes:
        key: in results.json.
        title: of the column.
        better: ``lower``, ``higher``, or ``real`` where the held-out patients' value is the aim.
        digits: behind the point.
        meaning: one line.
    """

    key: str
    title: str
    better: Literal["lower", "higher", "real"]
    digits: int
    meaning: str


MEASURES = (
    Measure("fd", "FD", "lower", 2, "Fréchet distance of ctgrid-features of slices to those of held-out patients"),
    Measure("kd", "KD", "lower", 3, "unbiased kernel distance (polynomial MMD²) of the same features"),
    Measure(
        "z_spearman", "z order", "higher", 3, "rank correlation of heights read from slices with the slices' order"
    ),
    Measure("step_hu", "slice step, HU", "real", 1, "mean |difference| of neighbouring slices"),
    Measure("step_wasserstein_hu", "steps apart, HU", "lower", 1, "Wasserstein-1 of slice steps to held-out patients'"),
    Measure("seam", "seam", "real", 3, "slice step where two grids join over all other steps; 1 is seamless"),
    Measure("loss", "held-out loss", "lower", 4, "diffusion loss on held-out patients, equal examples and noise"),
)
ARROWS = {"lower": " ↓", "higher": " ↑", "real": " → real"}

COLUMNS = (
    Column("variant", "variant"),
    *(
        Column(m.key, m.title + ARROWS[m.better], f".{m.digits}f", span=(f"{m.key}_min", f"{m.key}_max"))
        for m in MEASURES
    ),
    Column("codec_fd", "codec alone, FD", ".2f", span=("codec_fd_min", "codec_fd_max")),
)
CODEC_ALONE = "FD of held-out slices that were only shrunk to cells, encoded and decoded"

FACTS = (
    Column("variant", "variant"),
    Column("says", "what it is"),
    Column("parameters", "parameters, M", ".2f"),
    Column("tokens", "tokens"),
    Column("passes", "passes"),
    Column("training_patients", "patients"),
    Column("steps", "steps"),
    Column("train_seconds", "training, s", ".0f"),
    Column("sample_seconds", "sampling, s", ".0f"),
)

REAL = (("training", "real: training patients"), ("held_out", "real: held-out patients"))


def describe(content: Mapping[str, Any]) -> Description:
    """Return means over seeds by variant, what the variants are, and the distances as bars."""
    tables = [_figures(content), _variants(content)]
    title = content.get("title") or content.get("name") or "without a title"
    unfinished = "" if content.get("complete", True) else "Not complete: rows are missing."
    return Description(
        f"Ablation: {title}",
        [table for table in tables if table.rows],
        _charts(content),
        sentences(content.get("question"), unfinished, content.get("note")),
        beside=f"ablation:{content.get('name')}",
    )


def _figures(content: Mapping[str, Any]) -> Table:
    rows: list[dict[str, Any]] = []
    for name, summary in content["summary"].items():
        row = {"variant": name}
        for key, value in summary.items():
            if isinstance(value, Mapping) and "mean" in value:
                row |= {key: value["mean"], f"{key}_min": value.get("min"), f"{key}_max": value.get("max")}
        rows.append(row)
    for kind, label in REAL:
        if values := (content.get("reference") or {}).get(kind):
            rows.append({"variant": label, **values})
    columns = present(COLUMNS, rows)
    shown = {column.key for column in columns}
    meanings = "; ".join(f"{m.title}: {m.meaning}" for m in MEASURES if m.key in shown)
    codec = f"; codec alone: {CODEC_ALONE}" if "codec_fd" in shown else ""
    notes = sentences(_seeds(content), _compared(content), f"{meanings}{codec}." if meanings else "")
    return Table("Variants", columns, rows, notes=notes)


def _seeds(content: Mapping[str, Any]) -> str:
    """Say of how many trainings a figure is the mean, and of which patients."""
    seeds = content.get("seeds") or max((row.get("seeds") or 1 for row in content["summary"].values()), default=1)
    span = " with the least and the greatest in brackets" if seeds > 1 else ""
    samples = (content.get("sampling") or {}).get("samples")
    each = f"; each training gives {samples} volumes" if samples else ""
    people = [
        f" {label}: {', '.join(map(str, content[key]))}."
        for key, label in (("held_out", "Held out"), ("training", "Trained on"))
        if content.get(key)
    ]
    return f"Each figure is the mean of {seeds} training{'s' * (seeds > 1)}{span}{each}.{''.join(people)}"


def _compared(content: Mapping[str, Any]) -> str:
    side = (content.get("measuring") or {}).get("side_px")
    compared = f"All slices are compared at {side} × {side} pixels, " if side else "Compared are "
    return f"{compared}samples straight from stage 1 (no stage 2); small networks, few patients."


def _variants(content: Mapping[str, Any]) -> Table:
    """Return what every variant is and cost."""
    rows = []
    for variant in content.get("variants") or []:
        those = [row for row in content.get("rows") or [] if row.get("variant") == variant["name"]]
        rows.append({"variant": variant["name"], "says": variant.get("says"), **_cost(those)})
    return Table("What the variants are", FACTS, rows)


def _cost(rows: Sequence[Row]) -> dict[str, Any]:
    if not rows:
        return {}
    one = rows[0]
    trained = mean(row.get("train_seconds") for row in rows)
    return {
        **{key: one.get(key) for key in ("tokens", "passes", "training_patients", "steps")},
        "parameters": one["parameters"] / 1e6 if is_number(one.get("parameters")) else None,
        "train_seconds": f"as {str(one.get('model')).rpartition('-')[0]}" if trained is None else trained,
        "sample_seconds": mean(row.get("sample_seconds") for row in rows),
    }


def _charts(content: Mapping[str, Any]) -> list[Chart]:
    """Return one chart for each distance of features, by variant."""
    charts: list[Chart] = []
    for key in ("fd", "kd"):
        means = {name: (row.get(key) or {}).get("mean") for name, row in content["summary"].items()}
        numbers = {name: value for name, value in means.items() if is_number(value)}
        if numbers:
            charts.append(Bars(f"{key.upper()}, {content.get('features') or 'features not named'}", numbers))
    return charts


def recognises(content: Any) -> bool:
    """Tell results of an ablation, finished or not."""
    if not isinstance(content, dict) or content.get("kind") != "ablation":
        return False
    summary = content.get("summary")
    return isinstance(summary, dict) and bool(summary) and all(isinstance(v, dict) for v in summary.values())


ABLATION = Kind("ablation", recognises, describe)
