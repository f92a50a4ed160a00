"""Means over seeds, by variant."""

from __future__ import annotations

from ctgrid.runs.ablation.summary import summary_of

ROWS = [
    {"variant": "a", "fd": 1.0, "seam": None, "codec_fd": 0.5},
    {"variant": "b", "fd": 5.0, "seam": 1.1},
    {"variant": "a", "fd": 3.0, "seam": None, "codec_fd": 0.5},
]


def test_every_measure_has_its_mean_and_its_ends() -> None:
    summary = summary_of(ROWS, ["b", "a", "not begun"])
    assert list(summary) == ["b", "a"]
    assert summary["a"] == {
        "seeds": 2,
        "fd": {"mean": 2.0, "min": 1.0, "max": 3.0},
        "codec_fd": {"mean": 0.5, "min": 0.5, "max": 0.5},
    }
    assert summary["b"]["seam"] == {"mean": 1.1, "min": 1.1, "max": 1.1}
