"""The names of orders in which grids are made, and the paper's number; :mod:`ctgrid.stages.schedules` makes them."""

from __future__ import annotations

from typing import Literal

Order = Literal["hierarchical", "autoregressive"]

Between = Literal["half", "inner"]
"""How much of a grid Algorithm 2 makes between what it knows: half of its cells, or all rows but the first and last."""


def usual_control_rows(k: int) -> int:
    """Return r of Algorithm 1 as the paper takes it: 1, 3 and 4 for K = 2, 4 and 8; K - 1 below that, else K / 2."""
    return k - 1 if k <= 4 else k // 2
