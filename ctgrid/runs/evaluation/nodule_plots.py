"""Pictures of planted nodules: the 6 mm, 200 HU one, the one that fared worst, and the worst false structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ctgrid.base.arrays import read_npz
from ctgrid.runs.evaluation.keep import case_folder
from ctgrid.runs.evaluation.plots import PANEL_INCHES, new_figure, save_figure, show
from ctgrid.runs.results.nodules import VISIBLE
from ctgrid.runs.results.rows import grouped
from ctgrid.scan.windows import NODULE_WINDOW_HU

ROWS = ("clean", "noisy", "denoised")


def draw_nodules(rows: Sequence[dict[str, Any]], out: Path) -> list[Path]:
    """Draw one picture for each volume and noise: a column of three for each method and place.

    Args:
        rows: as in ``nodules.json``.
        out: the evaluation's folder.

    Returns:
        The files written.
    """
    paths = []
    for those in grouped(rows, "volume", "noise"):
        volume, noise = those[0]["volume"], those[0]["noise"]
        folder = case_folder(out, volume, noise)
        panels = []
        for row in those:
            path = folder / f"{row['method']}.nodules.npz"
            if not path.exists():
                continue
            crops, false = read_npz(path, "crops", "false")
            panels += [(crops[i], f"{row['method']}\n{text}") for i, text in places(row, len(crops), bool(false))]
        if not panels:
            continue
        figure = new_figure(0.7 * PANEL_INCHES * len(panels), 3 * 0.75 * PANEL_INCHES)
        axes = figure.subplots(3, len(panels), squeeze=False)
        for (stack, title), column in zip(panels, axes.T, strict=True):
            for image, name, axis in zip(stack, ROWS, column, strict=True):
                show(axis, image, NODULE_WINDOW_HU, title if name == "clean" else name)
        low, high = NODULE_WINDOW_HU
        figure.suptitle(f"{volume}, {noise}: 40 mm squares, {low:g} to {high:g} HU", fontsize=9)
        paths.append(save_figure(figure, folder / "nodules.png"))
    return paths


def places(row: Mapping[str, Any], count: int, false: bool) -> list[tuple[int, str]]:
    """Return which crops to show of one method, with a line about each."""
    nodules = row["nodules"]

    def line(i: int, what: str) -> tuple[int, str]:
        nodule = nodules[i]
        share = "-" if nodule["recovered"] is None else f"{nodule['recovered']:.0%}"
        return i, f"{what}{nodule['diameter_mm']:g} mm {nodule['contrast_hu']:g} HU: {share}"

    shown = []
    usual = [i for i, n in enumerate(nodules) if (n["diameter_mm"], n["contrast_hu"]) == VISIBLE]
    if usual:
        shown.append(line(usual[0], ""))
    visible = [
        i
        for i, n in enumerate(nodules)
        if n["diameter_mm"] >= VISIBLE[0] and n["contrast_hu"] >= VISIBLE[1] and n["recovered"] is not None
    ]
    if visible:
        shown.append(line(min(visible, key=lambda i: nodules[i]["recovered"]), "worst: "))
    if false:
        shown.append((count - 1, "worst false structure"))
    return shown
