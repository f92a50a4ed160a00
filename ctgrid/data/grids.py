"""Which slices a training grid holds, and which of them are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ctgrid.base.draws import integer, uniform

Starts = Literal["random", "paper"]
"""Where runs begin: anywhere, or side by side from the first slice on (the paper's Appendix A.4)."""


@dataclass(frozen=True)
class GridPlan:
    """The slices of one grid.

    Attributes:
        index: (K²,) int64 slice indices, ascending.
        known: (K²,) bool, the cells that are given clean.
        window: whether it fills a gap, or mends one, as synthesis does.
        backward: whether its slices are shown in reverse order, as those of another body would lie.
    """

    index: Tensor
    known: Tensor
    window: bool = False
    backward: bool = False

    @property
    def shown(self) -> Tensor:
        """(K²,) int64, the slices in the order of the cells."""
        return self.index.flip(0) if self.backward else self.index


def spread(first: float, last: float, count: int) -> Tensor:
    """Return ``count`` slice indices from ``first`` to ``last``, evenly spaced and rounded, int64."""
    return torch.linspace(first, last, count, dtype=torch.float64).round().long()


def draw_plan(
    slices: int,
    k: int,
    generator: torch.Generator,
    strides: tuple[int, ...] = (1,),
    keyframe_share: float = 0.0,
    window_share: float = 0.0,
    unknown_share: float = 1.0,
    mending_share: float = 0.0,
    starts: Starts = "random",
    reversed_share: float = 0.0,
) -> GridPlan:
    """Draw a grid in one of three ways.

    - keyframes: the whole volume in K² steps, nothing known;
    - window: K² consecutive slices between two keyframes, those two known (filling a gap); or all known but those in
      the middle, as :func:`ctgrid.stages.schedules.mending` leaves them;
    - run: a start, see ``starts``, and one of ``strides``; nothing known with ``unknown_share``, else the first rows,
      the two ends or random cells.

    Args:
        slices: slices of a volume.
        k: cells along a grid's side.
        generator: source of all draws.
        strides: slice steps of runs; those too long for the volume are shortened.
        keyframe_share: share of keyframe grids.
        window_share: share of windows; what remains are runs.
        unknown_share: share of runs without known cells.
        mending_share: share of windows of the second kind.
        starts: of runs; by ``paper`` they do not overlap, and slices behind the last whole one are not used.
        reversed_share: share of windows that are shown backward.
    """
    cells = k * k
    known = torch.zeros(cells, dtype=torch.bool)
    choice = uniform(generator)
    if choice < keyframe_share:
        return GridPlan(spread(0, slices - 1, cells), known)
    if choice < keyframe_share + window_share:
        if mending_share and uniform(generator) < mending_share:
            reach = min(integer(3, 5, generator), cells // 2 - 2)
            known = (torch.arange(cells) - cells // 2).abs() > reach
        else:
            gap = min(round((slices - 1) / (cells - 1)), cells - 1) + integer(-1, 2, generator)
            gap = max(1, min(gap, cells - 1))
            first = integer(0, cells - gap, generator) if uniform(generator) < 0.2 else 0
            known[[first, first + gap]] = True
        backward = reversed_share > 0 and uniform(generator) < reversed_share
        return GridPlan(_run(slices, cells, 1, generator), known, window=True, backward=backward)
    stride = strides[integer(0, len(strides), generator)]
    plan = _run(slices, cells, stride, generator, starts)
    if uniform(generator) >= unknown_share:
        kind = integer(0, 3, generator)
        if kind == 0:
            known[: k * integer(1, k, generator)] = True
        elif kind == 1:
            known[[0, cells - 1]] = True
        else:
            known = torch.rand(cells, generator=generator) < 0.1 + 0.6 * uniform(generator)
            known[integer(0, cells, generator)] = False
    return GridPlan(plan, known)


def _run(slices: int, cells: int, stride: int, generator: torch.Generator, starts: Starts = "random") -> Tensor:
    """Return ``cells`` indices at a stride from a drawn start; shorter steps where the volume is too short."""
    length = (cells - 1) * stride
    if length > slices - 1:
        return spread(0, slices - 1, cells)
    if starts == "paper":
        first = (length + 1) * integer(0, slices // (length + 1), generator)
    else:
        first = integer(0, slices - length, generator)
    return torch.arange(cells) * stride + first
