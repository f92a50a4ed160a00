"""Charts draw what they are given and nothing that is no number."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

from ctgrid.runs.report.html.chart import HEIGHT, WIDTH, chart_html
from ctgrid.runs.results.chart import Bars, Lines


def test_lines_lie_where_their_values_are() -> None:
    chart = Lines("t <x>", "HU", "dB", {"a": [(200, 10.0), (50, 30.0), (100, 20.0)], "b": [(50, math.nan)]}, log_x=True)
    made = str(chart_html(chart))
    ElementTree.fromstring(made)  # well formed
    (points,) = re.findall(r'points="([^"]*)"', made)
    x, y = zip(*[tuple(map(float, pair.split(","))) for pair in points.split()], strict=True)
    assert math.isclose(x[1] - x[0], x[2] - x[1], abs_tol=0.2)  # doubling is one step on a log axis
    assert y[0] < y[1] < y[2] and min(x) >= 0 and max(x) <= WIDTH and max(y) <= HEIGHT
    assert "<x>" not in made and "legend" not in made


def test_several_series_have_a_legend() -> None:
    made = str(chart_html(Lines("t", "x", "y", {"one": [(0, 1), (1, 2)], "<two>": [(0, 2), (1, 1)]})))
    assert made.count("<polyline") == 2 and "&lt;two&gt;" in made


def test_bars_have_the_length_of_their_values() -> None:
    made = str(chart_html(Bars("t", {"a": 10.0, "b": 5.0, "none": math.inf, "c": -5.0})))
    widths = [float(w) for w in re.findall(r'<rect[^>]*width="([\d.]+)"', made)]
    assert len(widths) == 3 and math.isclose(widths[0], 2 * widths[1], abs_tol=0.2)
    assert math.isclose(widths[1], widths[2], abs_tol=0.2)


def test_nothing_to_draw_is_no_figure() -> None:
    assert chart_html(Lines("t", "x", "y", {"a": [(0.0, 1.0)]}, log_x=True)) is None
    assert chart_html(Bars("t", {})) is None
    assert chart_html(Lines("t", "x", "y", {"a": [(1.0, 1.0)]})) is not None  # a single point has a place too
