"""Charts as data: lines over an axis, and bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Lines:
    """Series of points over a common axis.

    Attributes:
        title: above the chart.
        x_label: with the unit.
        y_label: with the unit.
        series: points (x, y) by name; anything but finite numbers is left out.
        log_x: whether x is spread by its logarithm.
    """

    title: str
    x_label: str
    y_label: str
    series: Mapping[str, Sequence[tuple[float, float]]]
    log_x: bool = False


@dataclass(frozen=True)
class Bars:
    """One bar for each name.

    Attributes:
        title: above the chart, with the unit.
        values: by name; anything but finite numbers is left out.
    """

    title: str
    values: Mapping[str, float]


Chart = Lines | Bars
