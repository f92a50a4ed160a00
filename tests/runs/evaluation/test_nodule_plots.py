"""Pictures of planted nodules: which are shown, and what is said of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ctgrid.runs.evaluation.keep import case_folder
from ctgrid.runs.evaluation.nodule_plots import draw_nodules, places


def nodule(diameter: float, contrast: float, recovered: float | None) -> dict[str, Any]:
    return {"diameter_mm": diameter, "contrast_hu": contrast, "recovered": recovered}


def test_the_usual_one_the_worst_and_the_false_structure_are_shown() -> None:
    nodules = [
        nodule(4, 200, 0.1),
        nodule(6, 200, 0.9),
        nodule(8, 400, 0.35),
        nodule(8, 50, 0.0),
        nodule(10, 400, None),
    ]
    row = {"nodules": nodules}
    assert places(row, 6, True) == [
        (1, "6 mm 200 HU: 90%"),
        (2, "worst: 8 mm 400 HU: 35%"),
        (5, "worst false structure"),
    ]
    assert places(row, 5, False)[-1][0] == 2
    assert places({"nodules": [nodule(6, 200, None)]}, 1, False) == [(0, "6 mm 200 HU: -")]
    assert places({"nodules": [nodule(4, 50, 0.5)]}, 1, False) == [], "small and faint ones may be lost"


def test_a_picture_for_each_scan_and_noise_of_what_was_kept(tmp_path: Path) -> None:
    """A method without crops is left out; a case without any has no picture."""
    rows = [
        {"volume": v, "noise": n, "method": m, "nodules": [nodule(6, 200, 0.5)]}
        for v, n, m in (("v", "gaussian:20", "tv"), ("v", "gaussian:20", "gone"), ("w", "gaussian:20", "tv"))
    ]
    folder = case_folder(tmp_path, "v", "gaussian:20")
    folder.mkdir(parents=True)
    np.savez_compressed(folder / "tv.nodules.npz", crops=np.zeros((2, 3, 20, 20), np.int16), false=True)
    (path,) = draw_nodules(rows, tmp_path)
    assert path == folder / "nodules.png"
    with Image.open(path) as picture:
        assert picture.height > picture.width / 2
