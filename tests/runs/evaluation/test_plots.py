"""What is drawn of a case: once for each, and only slices that are the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ctgrid.runs.evaluation.keep import keep_case
from ctgrid.runs.evaluation.plots import cases_of, draw_comparison


def kept(out: Path, method: str, indices: list[int], side: int = 32) -> None:
    """Keep a method's slices, which are as bright as its name is long."""
    hu = np.full((len(indices), side, side), 100.0 * len(method), np.float32)
    keep_case(out, "v", "n:1", method, np.array(indices), hu)


ROWS: list[dict[str, Any]] = [{"volume": "v", "noise": "n:1", "method": name} for name in ("tv", "nlm", "gone")]


def test_every_case_comes_once_with_what_was_kept(tmp_path: Path) -> None:
    for name in ("clean", "tv", "nlm"):
        kept(tmp_path, name, [1, 2, 3])
    rows = [*ROWS, {"volume": "w", "noise": "n:1", "method": "tv"}]
    first, second = cases_of(rows, tmp_path, lambda row: row["noise"], "clean")
    assert (first.volume, first.condition, list(first.kept)) == ("v", "n:1", ["clean", "tv", "nlm"])
    assert first.folder == tmp_path / "cases" / "v" / "n-1" and first.kept["nlm"].index == 2
    assert second.volume == "w" and not second.kept


def test_a_comparison_has_a_column_for_each_method_of_the_same_slice(tmp_path: Path) -> None:
    kept(tmp_path, "clean", [1, 2, 3])
    kept(tmp_path, "tv", [1, 2, 3])
    kept(tmp_path, "nlm", [7, 8, 9])  # of other settings
    (case,) = cases_of(ROWS, tmp_path, lambda row: row["noise"], "clean")
    (path,) = draw_comparison(case, "title", "clean")
    kept(tmp_path, "nlm", [1, 2, 3])
    with Image.open(path) as picture:
        two = picture.width
    (case,) = cases_of(ROWS, tmp_path, lambda row: row["noise"], "clean")
    (path,) = draw_comparison(case, "title", "clean")
    with Image.open(path) as picture:
        assert picture.width == 1.5 * two


def test_nothing_is_drawn_without_the_truth(tmp_path: Path) -> None:
    kept(tmp_path, "tv", [1])
    (case,) = cases_of(ROWS, tmp_path, lambda row: row["noise"], "clean")
    assert draw_comparison(case, "title", "clean") == [] and not list(tmp_path.rglob("*.png"))
