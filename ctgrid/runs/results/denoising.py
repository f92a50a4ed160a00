"""Results of ``ctgrid evaluate denoising``: a table for each scan and noise, figures over the noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ctgrid.runs.results.chart import Bars, Chart, Lines
from ctgrid.runs.results.description import Description, Kind, are_rows
from ctgrid.runs.results.rows import QUALITY, SECONDS, Row, grouped, mean, means_by_method, methods_of, present
from ctgrid.runs.results.table import Column, Table, is_number

COLUMNS = (
    Column("method", "method"),
    *(column for column in QUALITY if column.key != "ms_ssim"),
    Column("hu_bias_lung", "bias lung HU", "+.1f"),
    Column("hu_bias_soft", "soft", "+.1f"),
    Column("hu_bias_bone", "bone", "+.1f"),
    Column("residual_soft", "noise left HU", ".1f"),
    Column("within_2_lung", "within 2 σ: lung", ".1%"),
    Column("within_2_fat", "fat", ".1%"),
    Column("within_2_soft", "soft", ".1%"),
    Column("within_2_bone", "bone", ".1%"),
    SECONDS,
)
PROTOCOL = (
    "Protocol: PSNR over 2000 HU and SSIM on slices clipped to -1000 … 1000 HU; lung and soft tissue in windows "
    "of their own (docs/evaluation.md)."
)


def describe(rows: Sequence[Row]) -> Description:
    """Return one table for each scan and noise, the methods in the order they came."""
    tables = [Table(case_title(those[0]), present(COLUMNS, those), those) for those in grouped(rows, "volume", "noise")]
    charts = [chart for key, label in (("psnr", "PSNR in dB"), ("ssim", "SSIM")) for chart in _charts(rows, key, label)]
    return Description("Denoising", tables, charts, [PROTOCOL], beside=DENOISING.name)


def case_title(row: Row) -> str:
    """Return which scan and which noise a row is of."""
    added = f": {row['noise_hu']:.0f} HU of noise" if is_number(row.get("noise_hu")) else ""
    slices = f", {row['slices_measured']} slices" if row.get("slices_measured") else ""
    return f"{row['volume']}, {row['noise']}{added}{slices}"


def _charts(rows: Sequence[Row], key: str, label: str) -> list[Chart]:
    """Return lines over white noise, and bars for every other noise; bars alone where there is one level."""
    white = [r for r in rows if str(r["noise"]).startswith("gaussian") and is_number(r.get("noise_hu"))]
    levels = sorted({r["noise_hu"] for r in white})
    charts: list[Chart] = []
    if len(levels) > 1:
        series = {}
        for method in methods_of(white):
            points = [(n, mean(r[key] for r in white if r["method"] == method and r["noise_hu"] == n)) for n in levels]
            series[method] = [(n, value) for n, value in points if value is not None]
        charts.append(Lines("White noise", "noise in HU", label, series, log_x=True))
    alone = [r for r in rows if len(levels) < 2 or r not in white]
    return [*charts, *(Bars(f"{label}, {r[0]['noise']}", means_by_method(r, key)) for r in grouped(alone, "noise"))]


def recognises(content: Any) -> bool:
    """Tell rows of a denoising evaluation."""
    return are_rows(content, "volume", "noise", "method", "psnr", "ssim")


DENOISING = Kind("denoising", recognises, describe)
