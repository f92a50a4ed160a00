"""A picture of generated slices beside the training slices they resemble most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctgrid.runs.evaluation.plots import DIFFERENCE_HU, PANEL_INCHES, new_figure, save_figure, show
from ctgrid.scan.windows import CHEST_WINDOW_HU

MOST_PAIRS = 6


@dataclass(frozen=True)
class Pair:
    """One generated slice and its nearest training slice.

    Attributes:
        generated: (S, S) HU.
        training: (S, S) HU.
        generated_name: volume and slice.
        training_name: likewise.
        note: the verdict and how alike they are.
    """

    generated: np.ndarray
    training: np.ndarray
    generated_name: str
    training_name: str
    note: str


def draw_pairs(pairs: Sequence[Pair], path: Path) -> Path:
    """Write a PNG with a row for each pair: generated, training, and their difference.

    Args:
        pairs: at least one, the most alike first.
        path: of the picture.
    """
    figure = new_figure(3 * PANEL_INCHES + 0.4, (PANEL_INCHES + 0.3) * len(pairs) + 0.4)
    for row, pair in zip(figure.subplots(len(pairs), 3, squeeze=False), pairs, strict=True):
        show(row[0], pair.generated, CHEST_WINDOW_HU, f"generated: {pair.generated_name}")
        show(row[1], pair.training, CHEST_WINDOW_HU, f"training: {pair.training_name}")
        off = pair.generated.astype(np.float32) - pair.training
        show(row[2], off, (-DIFFERENCE_HU, DIFFERENCE_HU), pair.note)
    low, high = CHEST_WINDOW_HU
    figure.suptitle(
        f"generated slices and the training slices most like them; window {low:g} to {high:g} HU, "
        f"differences to ±{DIFFERENCE_HU:g} HU",
        fontsize=8,
    )
    return save_figure(figure, path)
