"""Results of ``ctgrid evaluate nodules``: contrast kept by size and contrast, structures invented and lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ctgrid.runs.results.chart import Lines
from ctgrid.runs.results.description import Description, Kind, are_rows
from ctgrid.runs.results.rows import SECONDS, Row, grouped, mean, methods_of, present
from ctgrid.runs.results.table import Column, Table, is_number

VISIBLE = (6.0, 200.0)
"""Nodules of this diameter in mm and contrast in HU, or more, must not be lost."""

COPIED = ("method", "false_per_litre", "lost_per_litre", "edge_width_mm", "edge_f50_per_mm", "seconds")


def describe(rows: Sequence[Row]) -> Description:
    """Return one table for each scan and noise, and the contrast recovered over the size."""
    tables = [_table(those) for those in grouped(rows, "volume", "noise")]
    series: dict[str, list[tuple[float, float]]] = {}
    for method in methods_of(rows):
        nodules = [n for row in rows if row["method"] == method for n in row["nodules"]]
        sizes = sorted({n["diameter_mm"] for n in nodules if is_number(n.get("diameter_mm"))})
        found = [(d, mean(n.get("recovered") for n in nodules if n.get("diameter_mm") == d)) for d in sizes]
        series[method] = [(d, value) for d, value in found if value is not None]
    chart = Lines("Contrast recovered", "diameter in mm", "share", series)
    return Description("Planted nodules", tables, [chart], beside=NODULES.name)


def _table(rows: Sequence[Row]) -> Table:
    """Return the mean share recovered of all nodules, of each size at 200 HU and of each contrast at 6 mm."""
    kinds = {(n.get("diameter_mm"), n.get("contrast_hu")) for row in rows for n in row["nodules"]}
    known = sorted((d, c) for d, c in kinds if is_number(d) and is_number(c))
    diameter, contrast = VISIBLE
    shown = [(d, c) for d, c in known if c == contrast] + [(d, c) for d, c in known if d == diameter and c != contrast]
    columns = [
        Column("method", "method"),
        Column("recovered", "all nodules", ".0%"),
        Column("false_per_litre", "false / l", ".1f", "low"),
        Column("lost_per_litre", "lost / l", ".1f", "low"),
        Column("edge_width_mm", "edge mm", ".2f"),
        Column("edge_f50_per_mm", "f50 per mm", ".2f"),
        *(Column(f"{d:g} {c:g}", f"{d:g} mm {c:g} HU", ".0%") for d, c in shown),
        SECONDS,
    ]
    body = [
        {
            **{key: row.get(key) for key in COPIED},
            "recovered": mean(n.get("recovered") for n in row["nodules"]),
            **{f"{d:g} {c:g}": mean_recovered(row["nodules"], d, c) for d, c in shown},
        }
        for row in rows
    ]
    first = rows[0]
    lung = f" in {first['lung_litres']:.2f} l of lung" if is_number(first.get("lung_litres")) else ""
    sharp = first.get("clean_edge_width_mm")
    edges = f", and edges ({sharp:.2f} mm before the noise)" if is_number(sharp) else ""
    title = (
        f"{first['volume']}, {first['noise']}: contrast recovered of {len(first['nodules'])} nodules planted{lung}, "
        f"structures that are false or lost{edges}"
    )
    return Table(title, present(columns, body), body)


def mean_recovered(nodules: Sequence[Row], diameter_mm: float, contrast_hu: float) -> float | None:
    """Return the mean share of contrast recovered by nodules of one kind, or None without any."""
    kind = (diameter_mm, contrast_hu)
    share = mean(n.get("recovered") for n in nodules if (n.get("diameter_mm"), n.get("contrast_hu")) == kind)
    return None if share is None else round(share, 4)


def recognises(content: Any) -> bool:
    """Tell rows of planted nodules."""
    return are_rows(content, "volume", "noise", "method", "nodules")


NODULES = Kind("nodules", recognises, describe, ("nodules.json",))
