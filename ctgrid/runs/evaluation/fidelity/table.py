"""Results of an evaluation of volumes as tables for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctgrid.runs.evaluation.table import markdown

HEADINGS = ("measure", "frames", "value", "95 % confidence", "real", "fake", "detector")
LIKE_HEADINGS = ("figure of a volume", "unit", "real", "real median", "generated median", "", "spread real / generated")
CT_COLUMNS = ("value", "fake_mean", "real_mean")


def volume_tables(results: Mapping[str, Any]) -> str:
    """Return the distances as one Markdown table, and what CT measures and memorisation say in a line each.

    Args:
        results: as in ``results.json``.
    """
    protocol = results["protocol"]
    volumes = [len(results["volumes"][role]) for role in ("real", "fake")]
    title = (
        f"protocol {protocol['id']} ({protocol['sha256'][:12]}), {volumes[0]} real and {volumes[1]} generated volumes"
    )
    parts = [title]
    if results["measures"]:
        parts.append(markdown(HEADINGS, [_cells(row) for row in results["measures"]]))
    if results.get("ct"):
        distances = results["ct"].get("distances", {})
        rows = [
            [name, one.get("unit") or "-", *(_figure(one.get(key)) for key in CT_COLUMNS)]
            for name, one in distances.items()
        ]
        parts.append(markdown(("CT measure", "unit", "distance", "mean of generated", "mean of real"), rows))
        parts += _resemblance(results["ct"].get("resemblance") or {})
        parts += [f"beware: {warning}" for warning in results["ct"].get("warnings", [])]
    if results.get("memorisation"):
        parts.append(f"memorisation: {results['memorisation'].get('verdict', '-')}")
    return "\n\n".join(parts)


def _resemblance(found: Mapping[str, Any]) -> list[str]:
    """Return the figures of generated volumes beside the range of the real ones, and what is to be said to them."""
    rows = []
    for name, one in found.get("figures", {}).items():
        real, fake = one["real"] or {}, one["fake"] or {}
        low_high = f"{_figure(real['min'])} … {_figure(real['max'])}" if real else "-"
        spreads = " / ".join("-" if s is None else f"{s:.0%}" for s in (real.get("spread"), fake.get("spread")))
        verdict = {None: "-", True: "OUTSIDE", False: "within"}[one["outside"]]
        medians = [_figure(side.get("median")) for side in (real, fake)]
        rows.append([name, one["unit"] or "-", low_high, *medians, verdict, spreads])
    tables = [markdown(LIKE_HEADINGS, rows)] if rows else []
    return [*tables, *(f"note: {note}" for note in found.get("notes", []))]


def _cells(row: Mapping[str, Any]) -> list[str]:
    low_high = row.get("confidence")
    return [
        row["measure"],
        "-" if row["frames"] is None else str(row["frames"]),
        _figure(row["value"]),
        f"{_figure(low_high[0])} … {_figure(low_high[1])}" if low_high else "-",
        str(row["n_real"]),
        str(row["n_fake"]),
        f"{row['detector']['name']} {row['detector']['sha256'][:8]}",
    ]


def _figure(value: Any) -> str:
    return "-" if value is None else f"{value:.5g}" if isinstance(value, int | float) else str(value)
