"""Results of ``ctgrid evaluate super-resolution``: a table for each volume and setting, and means over volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ctgrid.runs.results.chart import Bars
from ctgrid.runs.results.description import Description, Kind, are_rows
from ctgrid.runs.results.rows import QUALITY, SECONDS, Row, grouped, mean, means_by_method, methods_of, present
from ctgrid.runs.results.table import Column, Table

SETTING = ("size", "k", "slices", "through_codec")
"""What rows of one table share; other settings get a table of their own."""

OLD = {"slices": ":", "through_codec": False}
"""Settings of rows that were written before there was a choice."""

CLIPS = "clips"
"""Where results hold how far clips of slices are from the originals', of all volumes together."""

COLUMNS = (Column("method", "method"), *QUALITY, SECONDS)


def describe(content: Mapping[str, Any]) -> Description:
    """Return a table of each volume, and of the mean over volumes where there are several, setting by setting."""
    rows: list[Row] = [{**OLD, **row} for row in content["rows"]]
    clips = [row for row in content.get(CLIPS) or [] if isinstance(row, Mapping)]
    tables = []
    for alike in grouped(rows, *SETTING):
        volumes = grouped(alike, "volume")
        found = [row for row in clips if all(row.get(key) == alike[0][key] for key in SETTING)]
        for those in volumes:
            title = f"{those[0]['volume']}: {_title(those[0])}"
            tables.append(_with_clips(title, those, found if len(volumes) == 1 else []))
        frames = {row["clip_frames"] for row in alike if row.get("clip_frames")}
        if len(volumes) > 1:
            tables.append(_with_clips(f"mean of {len(volumes)} volumes", means_of(alike), found))
        if frames and not found:
            few = f"No distance of clips: the slices hold fewer than two clips of {max(frames)} side by side."
            tables[-1] = replace(tables[-1], notes=[*tables[-1].notes, few])
    charts = [
        Bars(f"PSNR in dB, mean of volumes{_way(those[0])}", means_by_method(those, "psnr"))
        for those in grouped(rows, "through_codec")
    ]
    return Description("Super-resolution", tables, charts, beside=SUPER_RESOLUTION.name)


def _with_clips(title: str, rows: Sequence[Row], found: Sequence[Row]) -> Table:
    """Return a table of rows, with the distances of their methods' clips where these were measured."""
    names = list(dict.fromkeys(str(row.get("clip_measure")) for row in found))
    named = {(row["method"], str(row.get("clip_measure"))): row for row in found}
    columns = [Column(name, name, ".2f" if name.startswith("FVD") else ".5f", "low") for name in names]
    both = [{**row, **{name: _distance(named.get((row["method"], name))) for name in names}} for row in rows]
    shown = present(COLUMNS, both)
    place = min(3, len(shown))
    notes = [_clips(name, [row for row in found if str(row.get("clip_measure")) == name]) for name in names]
    return Table(title, [*shown[:place], *columns, *shown[place:]], both, notes=notes)


def _distance(row: Row | None) -> Any:
    return None if row is None else row.get("clip_distance")


def _clips(name: str, rows: Sequence[Row]) -> str:
    """Say what a distance of clips is made of, and what it is not."""
    counts = {(row.get("clips"), row.get("clip_volumes"), row.get("clip_features")) for row in rows}
    made = "; ".join(f"{n} clips of {v} volumes, {d} features" for n, v, d in sorted(counts, key=str))
    few = any((n or 0) <= (d or 0) for n, _, d in counts)
    rank = "; fewer clips than features, the covariance is singular" if few else ""
    kind = "" if name.startswith("FVD") else "; not to be compared with a published FVD"
    return f"{name}: Fréchet distance of the clips made to the originals ({made}{rank}){kind}."


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
