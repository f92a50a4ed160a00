"""Results of ``evaluate super-resolution``: a table for each volume and setting, and means over volumes."""

from __future__ import annotations

from typing import Any

import pytest

from ctgrid.runs.results.chart import Bars
from ctgrid.runs.results.kinds import describe
from ctgrid.runs.results.super_resolution import means_of, recognises


def test_super_resolution_has_means_where_there_are_several_volumes(samples: dict[str, Any]) -> None:
    known = {"k": 4, "size": 64, "slices": "1:8:3", "slices_measured": 3, "through_codec": True}
    rows = [{**row, **known, "window_hu": [-1000, 1000]} for row in samples["super-resolution"]["rows"]]
    more = [{**row, "volume": "other", "psnr": row["psnr"] + 2} for row in rows[:1]]
    described = describe({"kind": "super-resolution", "rows": rows + more})
    first, _, means = described.tables
    assert first.title == (
        "scan: 3 slices (1:8:3) of 16 brought back to 64 pixels, through the codec; PSNR and SSIM over -1000 to 1000 HU"
    )
    assert means.title == "mean of 2 volumes"
    assert [(row["method"], row["psnr"]) for row in means.rows] == [("bicubic", 36.25)]  # the other lacks a volume
    (bars,) = described.charts
    assert isinstance(bars, Bars) and bars.title.endswith("through the codec")


@pytest.mark.parametrize(("k", "said"), [(4, "1/4"), (None, "a part")])
def test_super_resolution_of_earlier_versions_is_read(samples: dict[str, Any], k: int | None, said: str) -> None:
    rows = [{**row, "k": k} for row in samples["super-resolution"]["rows"]]
    (table,) = describe({"kind": "super-resolution", "rows": rows}).tables
    assert table.title == f"scan: slices back from {said} of their side"


def test_settings_of_their_own_have_tables_and_charts_of_their_own(samples: dict[str, Any]) -> None:
    rows = samples["super-resolution"]["rows"]
    mixed = [*rows, *({**row, "through_codec": True} for row in rows), {**rows[0], "k": 8}]
    described = describe({"kind": "super-resolution", "rows": mixed})
    assert [len(table.rows) for table in described.tables] == [2, 2, 1]
    assert [chart.title for chart in described.charts if isinstance(chart, Bars)] == [
        "PSNR in dB, mean of volumes",
        "PSNR in dB, mean of volumes, through the codec",
    ]


def test_a_method_that_lacks_a_volume_has_no_mean() -> None:
    rows = [{"volume": v, "method": m, "psnr": p} for v, m, p in (("a", "x", 30), ("b", "x", 40), ("a", "y", 50))]
    (only,) = means_of(rows)
    assert (only["method"], only["psnr"], only["ssim"]) == ("x", 35, None)


@pytest.mark.parametrize(
    "content", [None, [], {"kind": "super-resolution"}, {"kind": "super-resolution", "rows": [{}]}]
)
def test_other_content_is_none(content: Any, samples: dict[str, Any]) -> None:
    assert recognises(samples["super-resolution"]) and not recognises(content)


def test_too_few_slices_for_clips_are_said(samples: dict[str, Any]) -> None:
    """Where clips were asked for, and none of its setting's distances is there."""
    rows = [{**row, "clip_frames": 500} for row in samples["super-resolution"]["rows"]]
    (table,) = describe({"kind": "super-resolution", "rows": rows}).tables
    assert list(table.notes) == ["No distance of clips: the slices hold fewer than two clips of 500 side by side."]
    (plain,) = describe(samples["super-resolution"]).tables
    assert not plain.notes
