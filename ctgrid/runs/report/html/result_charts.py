"""Results of every evaluation as charts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ctgrid.runs.report.html.chart import Bars, Lines
from ctgrid.runs.report.html.result_tables import mean
from ctgrid.runs.report.html.results import Results
from ctgrid.runs.report.html.table import is_number

Chart = Lines | Bars
_CURVES = {
    "step_quantiles_hu": ("Steps between slices", "share of steps", "HU"),
    "body_histogram": ("HU inside the body", "HU", "share of voxels"),
    "spectrum_db": ("Power spectrum", "1/mm", "dB"),
    "body_mm2": ("Body area", "height, 0 feet to 1 head", "mm²"),
    "lung_mm2": ("Lung area", "height, 0 feet to 1 head", "mm²"),
}
"""Of the CT measures: title, axis and unit."""


def result_charts(results: Results) -> list[Chart]:
    """Return the charts of a file of results; none where it has nothing to draw."""
    return _MAKERS[results.kind](results)


def _denoising(results: Results) -> list[Chart]:
    return [
        chart
        for key, label in (("psnr", "PSNR in dB"), ("ssim", "SSIM"))
        for chart in _by_noise(results.rows, key, label)
    ]


def _by_noise(rows: Sequence[Mapping[str, Any]], key: str, label: str) -> list[Chart]:
    """Return lines over white noise, and bars for every other noise; bars alone where there is one level."""
    white = [r for r in rows if str(r["noise"]).startswith("gaussian") and is_number(r.get("noise_hu"))]
    levels = sorted({r["noise_hu"] for r in white})
    charts: list[Chart] = []
    if len(levels) > 1:
        series = {}
        for method in _methods(white):
            points = [(n, mean(r[key] for r in white if r["method"] == method and r["noise_hu"] == n)) for n in levels]
            series[method] = [(n, value) for n, value in points if value is not None]
        charts.append(Lines("White noise", "noise in HU", label, series, log_x=True))
    alone = [r for r in rows if len(levels) < 2 or r not in white]
    for noise in dict.fromkeys(str(r["noise"]) for r in alone):
        chosen = [r for r in alone if str(r["noise"]) == noise]
        charts.append(Bars(f"{label}, {noise}", _means(chosen, key)))
    return charts


def _nodules(results: Results) -> list[Chart]:
    series: dict[str, list[tuple[float, float]]] = {}
    for method in _methods(results.rows):
        nodules = [n for row in results.rows if row["method"] == method for n in row["nodules"]]
        sizes = sorted({n["diameter_mm"] for n in nodules if is_number(n.get("diameter_mm"))})
        found = [(d, mean(n.get("recovered") for n in nodules if n.get("diameter_mm") == d)) for d in sizes]
        series[method] = [(d, value) for d, value in found if value is not None]
    return [Lines("Contrast recovered", "diameter in mm", "share", series)]


def _volumes(results: Results) -> list[Chart]:
    ct = results.content.get("ct")
    curves = ct.get("curves") if isinstance(ct, Mapping) else None
    charts: list[Chart] = []
    for key, curve in (curves or {}).items():
        points = _axis(curve)
        if points is None or key not in _CURVES:
            continue
        title, x_label, y_label = _CURVES[key]
        series = {
            name: list(zip(points, curve[kind], strict=False))
            for kind, name in (("real", "real"), ("fake", "generated"))
            if isinstance(curve.get(kind), list)
        }
        charts.append(Lines(title, x_label, y_label, series))
    return charts


def _axis(curve: Any) -> list[float] | None:
    """Return the points along which a curve of the CT measures is given."""
    if not isinstance(curve, Mapping):
        return None
    for key in ("levels", "frequency_per_mm", "relative_z"):
        if isinstance(curve.get(key), list):
            return list(curve[key])
    if is_number(curve.get("low_hu")) and is_number(curve.get("bin_hu")) and isinstance(curve.get("real"), list):
        return [curve["low_hu"] + (i + 0.5) * curve["bin_hu"] for i in range(len(curve["real"]))]
    return None


def _super_resolution(results: Results) -> list[Chart]:
    charts: list[Chart] = []
    for coded, way in ((False, ""), (True, ", through the codec")):
        rows = [row for row in results.rows if bool(row.get("through_codec")) == coded]
        if rows:
            charts.append(Bars(f"PSNR in dB, mean of volumes{way}", _means(rows, "psnr")))
    return charts


def _ablation(results: Results) -> list[Chart]:
    """Return one chart for each distance of features, by variant."""
    summary = results.content["summary"]
    charts: list[Chart] = []
    for key in ("fd", "kd"):
        means = {name: (row.get(key) or {}).get("mean") for name, row in summary.items()}
        numbers = {name: value for name, value in means.items() if is_number(value)}
        if numbers:
            charts.append(Bars(f"{key.upper()}, {results.content.get('features') or 'features not named'}", numbers))
    return charts


def _no_charts(results: Results) -> list[Chart]:
    return []


_MAKERS: dict[str, Callable[[Results], list[Chart]]] = {
    "denoising": _denoising,
    "nodules": _nodules,
    "volumes": _volumes,
    "super-resolution": _super_resolution,
    "ablation": _ablation,
    "rows": _no_charts,
}


def _methods(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(str(row["method"]) for row in rows))


def _means(rows: Sequence[Mapping[str, Any]], key: str) -> dict[str, float]:
    found = {m: mean(row.get(key) for row in rows if str(row["method"]) == m) for m in _methods(rows)}
    return {method: value for method, value in found.items() if value is not None}
