"""Results of ``evaluate nodules``: contrast kept by size and contrast, structures invented and lost."""

from __future__ import annotations

from typing import Any

from ctgrid.runs.results.chart import Lines
from ctgrid.runs.results.nodules import describe, mean_recovered, recognises


def test_nodules_are_averaged_over_all_and_by_kind(samples: dict[str, Any]) -> None:
    (table,) = describe(samples["nodules"]).tables
    row = table.rows[0]
    assert row["recovered"] == row["4 200"] == 0.5
    assert [c.heading for c in table.columns] == ["method", "all nodules", "false / l", "lost / l", "4 mm 200 HU", "s"]
    assert "2 nodules planted in 1.00 l of lung" in table.title


NODULES = [
    {"diameter_mm": d, "contrast_hu": c, "recovered": r}
    for d, c, r in ((4.0, 200.0, 0.5), (6.0, 200.0, 0.75), (6.0, 200.0, 0.25), (6.0, 50.0, None), (8.0, 50.0, 0.1))
]


def test_means_leave_out_what_could_not_be_measured() -> None:
    assert mean_recovered(NODULES, 6.0, 200.0) == 0.5
    assert mean_recovered(NODULES, 6.0, 50.0) is None and mean_recovered(NODULES, 5.0, 5.0) is None
    assert mean_recovered([{"diameter_mm": 6, "contrast_hu": 200, "recovered": 1 / 3}], 6.0, 200.0) == 0.3333


def test_sizes_at_200_hu_and_contrasts_at_6_mm_have_columns(samples: dict[str, Any]) -> None:
    """In this order, those without a value left out; the curve is over the size."""
    (row,) = samples["nodules"]
    described = describe([{**row, "nodules": NODULES}])
    (table,), (chart,) = described.tables, described.charts
    assert [c.heading for c in table.columns if "mm" in c.heading] == ["4 mm 200 HU", "6 mm 200 HU"]
    assert table.rows[0]["recovered"] == 0.4
    assert isinstance(chart, Lines) and chart.series["nlm"] == [(4.0, 0.5), (6.0, 0.5), (8.0, 0.1)]
    assert recognises([row]) and not recognises([{**row, "nodules": None} | {"volume": None}] and [{}])
