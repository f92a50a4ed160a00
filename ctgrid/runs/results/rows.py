"""What descriptions of several kinds do with rows: put those together that belong together, and take means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ctgrid.runs.results.description import Description
from ctgrid.runs.results.table import Column, Table, is_number

Row = Mapping[str, Any]

QUALITY = (
    Column("psnr", "PSNR dB", ".2f", "high"),
    Column("ssim", "SSIM", ".4f", "high"),
    Column("ms_ssim", "MS-SSIM", ".4f", "high"),
    Column("vif", "VIF", ".3f"),
    Column("psnr_lung", "lung dB", ".2f", "high"),
    Column("ssim_lung", "lung SSIM", ".4f", "high"),
    Column("vif_lung", "lung VIF", ".3f"),
    Column("psnr_soft", "soft dB", ".2f", "high"),
    Column("ssim_soft", "soft SSIM", ".4f", "high"),
    Column("vif_soft", "soft VIF", ".3f"),
    Column("edge", "edges", ".3f"),
    Column("edge_gain", "steepness", ".3f"),
    Column("edges_removed", "edges removed", ".3f"),
)
"""Of :func:`ctgrid.runs.evaluation.measures.measure_slice`."""

SECONDS = Column("seconds", "s", ".1f")


def grouped(rows: Sequence[Row], *keys: str) -> list[list[Row]]:
    """Return rows that agree in all of the keys together, in the order they came."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(str(row.get(key)) for key in keys), []).append(row)
    return list(groups.values())


def present(columns: Iterable[Column], rows: Sequence[Row]) -> list[Column]:
    """Leave out columns that no row has a value for."""
    return [c for c in columns if any(row.get(c.key) is not None for row in rows)]


def mean(values: Iterable[Any]) -> float | None:
    """Return the mean of what is a number, or None where nothing is."""
    numbers = [float(v) for v in values if is_number(v)]
    return sum(numbers) / len(numbers) if numbers else None


def methods_of(rows: Sequence[Row]) -> list[str]:
    """Return the methods in the order they came."""
    return list(dict.fromkeys(str(row["method"]) for row in rows))


def means_by_method(rows: Sequence[Row], key: str) -> dict[str, float]:
    """Return each method's mean of what rows hold under a key; methods without any are left out."""
    found = {m: mean(row.get(key) for row in rows if str(row["method"]) == m) for m in methods_of(rows)}
    return {method: value for method, value in found.items() if value is not None}


def sentences(*lines: Any) -> list[str]:
    """Return what there is to say, each once."""
    return list(dict.fromkeys(str(line) for line in lines if line))


def describe_rows(content: Mapping[str, Any]) -> Description:
    """Return rows of no kind that is known as they are: a column for each key that holds numbers or words."""
    rows = content["rows"]
    keys = dict.fromkeys(key for row in rows for key, value in row.items() if _is_cell(value))
    columns = [Column(key, key.replace("_", " "), ".4g" if _any_float(rows, key) else "") for key in keys]
    title = str(content["kind"]).replace("-", " ").capitalize()
    return Description(title, [Table(title, columns, rows, notes=[str(note) for note in content.get("notes") or []])])


def _is_cell(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _any_float(rows: Sequence[Row], key: str) -> bool:
    return any(isinstance(row.get(key), float) for row in rows)
