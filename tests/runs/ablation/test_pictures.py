"""An ablation to look at: a dot for each seed, a line for real volumes, a row of slices for each variant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ctgrid.runs.ablation.pictures import AXIAL, GAP_PX, NAME_PX, TILE_PX, chart, draw_ablation, samples_sheet


@pytest.fixture
def results(tmp_path: Path) -> dict[str, Any]:
    """Two variants of two seeds; the first sample of each first seed lies in the folder."""
    (tmp_path / "samples").mkdir()
    for name, value in (("held-out", 400), ("a-seed0", -900)):
        hu = np.full((12, 16, 16), value, np.int16)
        hu[-1] = 1000  # the head
        np.savez_compressed(tmp_path / "samples" / f"{name}.npz", hu=hu)
    rows = [{"variant": v, "seed": s, "fd": 10.0 * s + len(v), "kd": None} for v in ("a", "bb") for s in (0, 1)]
    means = {v: {"fd": {"mean": 5.0 + len(v), "min": 0.0, "max": 11.0}} for v in ("a", "bb")}
    return {
        "variants": [{"name": "a"}, {"name": "bb"}, {"name": "not yet"}],
        "rows": rows,
        "summary": means,
        "reference": {"training": {"fd": 1.0}, "held_out": {"fd": 2.5}},
    }


def test_a_panel_for_each_measure_that_was_taken(results: dict[str, Any]) -> None:
    (panel,) = chart(results).axes
    assert "FD" in panel.get_title().upper()
    dots = sorted(float(line.get_xdata()[0]) for line in panel.lines if line.get_marker() == "o")
    assert dots == [1.0, 2.0, 11.0, 12.0]
    assert sorted(float(line.get_xdata()[0]) for line in panel.lines if line.get_marker() == "|") == [6.0, 7.0]
    assert [line.get_xdata() for line in panel.lines if line.get_linestyle() == "--"] == [[2.5, 2.5]], "held-out ones"
    assert [label.get_text() for label in panel.get_yticklabels()] == ["a", "bb"]


def test_a_row_of_slices_for_each_sample_that_is_there(results: dict[str, Any], tmp_path: Path) -> None:
    """The head on top; the variant that was not sampled has none."""
    step = TILE_PX + GAP_PX
    sheet = np.asarray(samples_sheet(results, tmp_path))
    assert sheet.shape == (2 * step, NAME_PX + (2 + len(AXIAL)) * step)
    real, made = (sheet[top : top + TILE_PX, NAME_PX : NAME_PX + TILE_PX] for top in (0, step))
    assert real[TILE_PX // 2, TILE_PX // 2] > made[TILE_PX // 2, TILE_PX // 2]
    rows = np.flatnonzero((made == made.max()).any(1))
    assert rows.size and rows.max() < TILE_PX // 2
    assert sheet[:TILE_PX, :NAME_PX].any() and sheet[step:, :NAME_PX].any(), "named"


def test_both_are_written_and_replaced(results: dict[str, Any], tmp_path: Path) -> None:
    for _ in range(2):
        assert [path.name for path in draw_ablation(results, tmp_path)] == ["measures.png", "samples.png"]
    for name in ("measures.png", "samples.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.height > 100


def test_an_ablation_without_a_sample_has_an_empty_sheet(results: dict[str, Any], tmp_path: Path) -> None:
    for path in (tmp_path / "samples").iterdir():
        path.unlink()
    assert not np.asarray(samples_sheet(results, tmp_path)).any()
