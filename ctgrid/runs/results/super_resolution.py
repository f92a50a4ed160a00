"""Results of ``ctgrid evaluate super-resolution``: a table for each volume and setting, and means over volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ctgrid.runs.results.chart import Bars
from ctgrid.runs.results.description import Description, Kind, are_rows
from ctgrid.runs.results.rows import QUALITY, SECONDS, Row, grouped, mean, means_by_method, methods_of, present
from ctgrid.runs.results.table import Column, Table

SETTING = ("size", "k", "slices", "through_codec")
"""What rows of one table share; other settings get a table of their own."""

OLD = {"slices": ":", "through_codec": False}
"""Settings of rows that were written before there was a choice."""

COLUMNS = (Column("method", "method"), *QUALITY, SECONDS)


def describe(content: Mapping[str, Any]) -> Description:
    """Return a table of each volume, and of the mean over volumes where there are several, setting by setting."""
    rows: list[Row] = [{**OLD, **row} for row in content["rows"]]
    tables = []
    for alike in grouped(rows, *SETTING):
        volumes = grouped(alike, "volume")
        for those in volumes:
            tables.append(Table(f"{those[0]['volume']}: {_title(those[0])}", present(COLUMNS, those), those))
        if len(volumes) > 1:
            means = means_of(alike)
            tables.append(Table(f"mean of {len(volumes)} volumes", present(COLUMNS, means), means))
    charts = [
        Bars(f"PSNR in dB, mean of volumes{_way(those[0])}", means_by_method(those, "psnr"))
        for those in grouped(rows, "through_codec")
    ]
    return Description("Super-resolution", tables, charts, beside=SUPER_RESOLUTION.name)


def means_of(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return one row for each method that every volume has: the mean over volumes."""
    volumes = {row["volume"] for row in rows}
    means = []
    for method in methods_of(rows):
        chosen = [row for row in rows if row["method"] == method]
        if {row["volume"] for row in chosen} == volumes:
            means.append({"method": method, **{c.key: mean(row.get(c.key) for row in chosen) for c in COLUMNS[1:]}})
    return means


def _title(row: Row) -> str:
    """Return what was brought back to what; rows of earlier versions may not say it whole."""
    slices = f" ({row['slices']})" if row["slices"] != ":" else ""
    measured = f"{row['slices_measured']} slices" if row.get("slices_measured") else "slices"
    size, k = row.get("size"), row.get("k")
    if size and k:
        sizes = f"of {size // k} brought back to {size} pixels"
    else:
        sizes = f"back from {f'1/{k}' if k else 'a part'} of their side"
    window = row.get("window_hu")
    over = f"; PSNR and SSIM over {window[0]:g} to {window[1]:g} HU" if window else ""
    return f"{measured}{slices} {sizes}{_way(row)}{over}"


def _way(row: Row) -> str:
    return ", through the codec" if row["through_codec"] else ""


def recognises(content: Any) -> bool:
    """Tell results of a super-resolution evaluation."""
    named = isinstance(content, dict) and content.get("kind") == "super-resolution"
    return named and are_rows(content.get("rows"), "volume", "method", "psnr")


SUPER_RESOLUTION = Kind("super-resolution", recognises, describe)
