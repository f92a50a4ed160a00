"""What evaluations draw from what they kept on disk: figures, single images, methods side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.base.extras import require
from ctgrid.base.files import atomic_output
from ctgrid.runs.evaluation.keep import Kept, case_folder, kept_cases
from ctgrid.scan.windows import CHEST_WINDOW_HU, FULL_WINDOW_HU

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DIFFERENCE_HU = 200.0
"""Differences from the clean slice are drawn from minus to plus this."""

PANEL_INCHES, DOTS_PER_INCH = 2.6, 110


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, atomically, without a clock time in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_output(path, overwrite=True) as temporary:
        figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return path


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure that needs no display."""
    require("matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@dataclass(frozen=True)
class Case:
    """What is kept of one scan under one condition.

    Attributes:
        volume: name of the scan.
        condition: kind and level of noise, or how slices were shrunk.
        folder: where it lies, and pictures of it go.
        kept: by method, with what they start from and should be.
    """

    volume: str
    condition: str
    folder: Path
    kept: dict[str, Kept]


def cases_of(
    rows: Sequence[dict[str, Any]], out: Path, condition: Callable[[dict[str, Any]], str], *others: str
) -> Iterator[Case]:
    """Yield what an evaluation kept of every scan and condition, each once.

    Args:
        rows: as in the file of results.
        out: the evaluation's folder.
        condition: of a row.
        others: names of what is kept beside the methods, first.
    """
    methods: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        methods.setdefault((row["volume"], condition(row)), []).append(row["method"])
    for (volume, named), names in methods.items():
        yield Case(volume, named, case_folder(out, volume, named), kept_cases(out, volume, named, (*others, *names)))


def draw_comparison(case: Case, title: str, truth: str) -> list[Path]:
    """Write ``comparison.png`` of a case, unless its truth was not kept.

    Methods that only other settings measured kept another slice than the truth, the last run's; they are left out.
    """
    if truth not in case.kept:
        return []
    shown = (case.kept[truth].index, case.kept[truth].hu.shape)
    alike = {name: one for name, one in case.kept.items() if (one.index, one.hu.shape) == shown}
    return [save_figure(comparison(alike, title, truth), case.folder / "comparison.png")]


def comparison(kept: dict[str, Kept], title: str, truth: str) -> Figure:
    """Draw one slice: the truth and every method's above, what is off from the truth below.

    Args:
        kept: by method, the truth among them.
        title: of the figure.
        truth: the name of what the others should be.
    """
    columns = len(kept)
    figure = new_figure(PANEL_INCHES * columns, 2 * PANEL_INCHES + 0.6)
    axes = figure.subplots(2, columns, squeeze=False)
    clean = kept[truth].hu.astype(np.float32)
    for (name, case), (above, below) in zip(kept.items(), axes.T, strict=True):
        show(above, case.hu, CHEST_WINDOW_HU, name)
        if name == truth:
            bare(below)
        else:
            show(below, np.clip(case.hu, *FULL_WINDOW_HU) - clean, (-DIFFERENCE_HU, DIFFERENCE_HU), f"minus {truth}")
    window = f"{CHEST_WINDOW_HU[0]:g} to {CHEST_WINDOW_HU[1]:g} HU, differences to ±{DIFFERENCE_HU:g} HU"
    figure.suptitle(f"{title}, slice {kept[truth].index}, window {window}", fontsize=9)
    return figure


def show(axis: Any, image: np.ndarray, window: tuple[float, float], title: str) -> None:
    """Draw one image in gray."""
    axis.imshow(image, cmap="gray", vmin=window[0], vmax=window[1], interpolation="none")
    axis.set_title(title, fontsize=8)
    bare(axis)


def bare(axis: Any) -> None:
    """Leave frame and ticks away; ticks that are only not drawn would be laid out for half of the time."""
    axis.set(xticks=[], yticks=[])
    axis.axis("off")
