"""Draw charts as SVG that follows the page's colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ctgrid.runs.report.html.markup import Markup, element, join, text
from ctgrid.runs.results.chart import Bars, Chart, Lines
from ctgrid.runs.results.table import is_number

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 14, 48
BAR_HEIGHT, BAR_LABEL = 26, 178
COLOURS = 8
MOST_TICKS = 6


def chart_html(chart: Chart) -> Markup | None:
    """Return a chart as a figure, or None where there is nothing to draw."""
    return _lines(chart) if isinstance(chart, Lines) else _bars(chart)


def _lines(chart: Lines) -> Markup | None:
    clean = {
        name: sorted((x, y) for x, y in points if _drawable(x, chart.log_x) and _drawable(y))
        for name, points in chart.series.items()
    }
    clean = {name: points for name, points in clean.items() if points}
    if not clean:
        return None
    xs = [math.log10(x) if chart.log_x else x for points in clean.values() for x, _ in points]
    ys = [y for points in clean.values() for _, y in points]
    across = _Scale.of(xs, LEFT, WIDTH - RIGHT)
    up = _Scale.of(ys, HEIGHT - BOTTOM, TOP)
    x_ticks = sorted({x for points in clean.values() for x, _ in points}) if chart.log_x else _ticks(xs)
    if len(x_ticks) > 9:
        x_ticks = x_ticks[:: math.ceil(len(x_ticks) / 9)]
    parts: list[Markup] = []
    for y in _ticks(ys):
        parts.append(_line(LEFT, up(y), WIDTH - RIGHT, up(y)))
        parts.append(_label(LEFT - 7, up(y) + 4, _short(y), "end"))
    for x in x_ticks:
        at = across(math.log10(x) if chart.log_x else x)
        parts.append(_label(at, HEIGHT - BOTTOM + 18, _short(x), "middle"))
    parts.append(_label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, chart.x_label, "middle"))
    for i, points in enumerate(clean.values()):
        colour = f"var(--series-{i % COLOURS})"
        placed = [(across(math.log10(x) if chart.log_x else x), up(y)) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(element("polyline", points=path, fill="none", stroke=colour, stroke_width=2))
        if len(placed) <= 40:
            parts += [element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=3, fill=colour) for x, y in placed]
    return _figure(f"{chart.title} ({chart.y_label})", HEIGHT, parts, list(clean))


def _bars(chart: Bars) -> Markup | None:
    clean = {name: value for name, value in chart.values.items() if _drawable(value)}
    if not clean:
        return None
    low, high = min(0.0, *clean.values()), max(0.0, *clean.values())
    across = _Scale.of([low, high], BAR_LABEL, WIDTH - 64)
    height = BAR_HEIGHT * len(clean) + 8
    parts = []
    for i, (name, value) in enumerate(clean.items()):
        top, start, end = 4 + i * BAR_HEIGHT, *sorted((across(0), across(value)))
        shown = name if len(name) <= 26 else name[:25] + "…"
        parts.append(_label(BAR_LABEL - 8, top + 17, shown, "end"))
        parts.append(
            element(
                "rect", x=f"{start:.1f}", y=top + 3, width=f"{max(end - start, 1):.1f}", height=BAR_HEIGHT - 7,
                rx=3, fill="var(--series-0)",
            )
        )  # fmt: skip
        parts.append(_label(end + 6, top + 17, _short(value), "start", "value"))
    return _figure(chart.title, height, parts, [])


@dataclass(frozen=True)
class _Scale:
    """A linear map of values to places."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def of(cls, values: Sequence[float], start: float, end: float) -> _Scale:
        """Span the values, with room where all are equal."""
        low, high = min(values), max(values)
        room = 0.0 if high > low else max(abs(high), 1.0) * 0.1
        return cls(low - room, high + room, start, end)

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def _drawable(value: object, log: bool = False) -> bool:
    return is_number(value) and math.isfinite(value) and (not log or value > 0)


def _ticks(values: Sequence[float]) -> list[float]:
    """Return round values within a range: multiples of 1, 2 or 5 times a power of ten."""
    low, high = min(values), max(values)
    if high == low:
        return [low]
    rough = (high - low) / MOST_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


SPACED_FROM = 1000
"""Thousands are set apart from here on."""


def _short(value: float) -> str:
    """Write a number in few characters."""
    if value == 0:
        return "0"
    if abs(value) >= 1e7 or abs(value) < 1e-3:
        return f"{value:.2g}"
    if abs(value) >= SPACED_FROM:
        return f"{value:,.0f}".replace(",", " ").replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def _line(x1: float, y1: float, x2: float, y2: float) -> Markup:
    return element("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_="axis")


def _label(x: float, y: float, words: str, anchor: str, kind: str | None = None) -> Markup:
    return element("text", words, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, class_=kind)


def _figure(title: str, height: int, parts: Sequence[Markup], names: Sequence[str]) -> Markup:
    """Return a chart under its title, with a legend where several series need one."""
    picture = element("svg", *parts, viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=title)
    keys = [
        element("li", element("span", style=f"background: var(--series-{i % COLOURS})"), text(name))
        for i, name in enumerate(names)
    ]
    return element(
        "figure",
        element("figcaption", title),
        picture,
        element("ul", join(*keys), class_="legend") if len(names) > 1 else None,
        class_="chart",
        data_testid="chart",
    )
