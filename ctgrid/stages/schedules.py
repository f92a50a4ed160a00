"""Which grids are sampled, in which order, to make a sequence of slices (Algorithms 1 and 2 as pure plans).

A plan is a list of passes; the windows of a pass do not depend on each other and may share a batch. A window
is one grid: where its cells lie along z, which slices they become, and which of them are known by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.stages.orders import Between, Order

HELPER = -1
"""Target of a cell that only fills the grid; its content is not used."""


@dataclass(frozen=True)
class PlannedGrid:
    """One grid of a plan.

    Attributes:
        position: (K²,) slice numbers on the scale of the targets, ascending, fractional for helper cells.
        target: (K²,) number of the slice a cell becomes, or was; :data:`HELPER` for none.
        known: (K²,) bool, cells whose slice an earlier pass made.
        share: (K²,) from 0 to 1, how much of a cell that is made takes the place of what an earlier pass made of its
            slice; None all of it.
    """

    position: np.ndarray
    target: np.ndarray
    known: np.ndarray
    share: np.ndarray | None = None


SamplingPlan = list[list[PlannedGrid]]


def plan_grids(
    order: Order,
    slices: int,
    k: int = 4,
    *,
    control_rows: int = 1,
    interpolate: bool = False,
    between: Between = "half",
    mend: bool = True,
) -> SamplingPlan:
    """Plan the grids of a volume: what synthesis samples, and what ablations and measures look at.

    Args:
        order: ``hierarchical`` makes keyframes, fills the gaps and mends; ``autoregressive`` extends grid by grid.
        slices: N, slices to make.
        k: cells along a grid's side.
        control_rows: see :func:`autoregressive`.
        interpolate: likewise.
        between: likewise.
        mend: sample slices around the joints of ``hierarchical`` anew, see :func:`mending`. What measures how well
            grids join goes without: mended joints would hide what differs.

    Raises:
        CtgridError: for less than one slice, or control rows or an interpolation that do not fit K.
    """
    if order == "hierarchical":
        return [*hierarchical(slices, k), *(mending(slices, k) if mend else [])]
    return autoregressive(slices, k, control_rows, interpolate, between)


def hierarchical(slices: int, k: int = 4) -> SamplingPlan:
    """Plan keyframes over the whole volume first, then every gap between them (DESIGN §4).

    Each level holds at most K² - 1 slices between two of the level above, so that one grid fills a gap:
    201 slices take one grid, then 15 in a single batch.

    Args:
        slices: N, slices to make.
        k: cells along a grid's side.

    Raises:
        CtgridError: for less than one slice.
    """
    _check(slices)
    cells = k * k
    levels = _levels(slices, cells)
    plan = [[_opening(levels[0], cells)]]
    for above, below in pairwise(levels):
        made = np.isin(below, above)
        starts = np.flatnonzero(made)[:-1]
        ends = np.flatnonzero(made)[1:]
        windows = []
        for start, end in zip(starts, ends, strict=True):
            if end - start == 1:
                continue
            first = min(start, len(below) - cells)
            inside = slice(first, first + cells)
            place = np.arange(first, first + cells)
            wanted = made[inside] | ((place > start) & (place < end))
            target = np.where(wanted, below[inside], HELPER)
            windows.append(PlannedGrid(below[inside].astype(float), target, made[inside]))
        plan.append(windows)
    return [windows for windows in plan if windows]


def mending(slices: int, k: int = 4) -> SamplingPlan:
    """Plan one more pass that samples slices around keyframes anew, and fades them into what is there.

    Keyframes are made without their neighbours: what lies beside one differs from it more than slices inside a gap
    differ from each other. Each grid here leaves the slices further away known, and what it makes counts fully at
    the keyframe and less by each slice up to the known ones, so that it joins what is there on both sides. One grid
    for each keyframe between two gaps.

    Args:
        slices: N, slices of the volume.
        k: cells along a grid's side.

    Returns:
        One pass; none where one grid holds the volume, or its gaps are too short to leave seams.
    """
    cells = k * k
    levels = _levels(slices, cells)
    if len(levels) < 2:
        return []
    keyframes = levels[-2]
    reach = min(round(0.3 * np.diff(keyframes).min()), cells // 2 - 2)  # one known slice on either side at least
    if reach < 1:
        return []

    def around(centre: int) -> PlannedGrid:
        first = min(max(centre - cells // 2, 0), slices - cells)
        number = np.arange(first, first + cells)
        away = np.abs(number - centre)
        return PlannedGrid(number.astype(float), number, away > reach, np.maximum(1 - away / (reach + 1), 0))

    return [[around(int(keyframe)) for keyframe in keyframes[1:-1]]]


def autoregressive(
    slices: int, k: int = 4, control_rows: int = 1, interpolate: bool = False, between: Between = "half"
) -> SamplingPlan:
    """Plan one grid after another, each beginning with the last rows of the one before (Algorithm 1).

    n passes after the first give K² + n K (K - r) slices; those beyond ``slices`` are left out. With
    ``interpolate`` blocks of slices so made lie a grid apart, and one more pass, whose grids do not depend on each
    other, fills in between every two (Algorithm 2): every slice then comes from a grid of its own spacing, and the
    spacing is even.

    The paper describes Algorithm 2 for K = 4, where a known first and last row leave half of the rows to make, and
    interpolates "half the rows" for K = 2 and 8 as well. ``half`` is that for every K: a quarter of a grid is known at
    either end (two rows of K = 8, one cell of K = 2). ``inner`` is the first and last row for every K.

    Args:
        slices: N, slices to make.
        k: cells along a grid's side.
        control_rows: r, rows taken over, 1 ... K-1.
        interpolate: fill in between what was made.
        between: how much of a grid is filled in; for K = 4 it makes no difference.

    Raises:
        CtgridError: for less than one slice, a number of control rows outside 1 ... K-1, or grids without inner rows.
    """
    _check(slices)
    if not 1 <= control_rows < k:
        raise CtgridError(f"control_rows must lie in 1...{k - 1} for grids of {k} x {k}, got {control_rows}")
    if interpolate and between == "inner" and k < 3:
        raise CtgridError(f"grids of {k} x {k} have no rows between the first and the last; interpolate 'half'")
    cells = k * k
    block = k if between == "inner" else cells // 4  # slices known at either end of a grid that is filled
    apart = cells - block  # from one block to the next
    blocks = max(1, -(-(slices - block) // apart) + 1)
    wanted = (blocks - 1) * apart + block if interpolate else slices  # the last fillings need a block behind them
    rolled = blocks * block if interpolate else slices
    plan: SamplingPlan = []
    first = 0
    while not plan or first + control_rows * k < rolled:
        number = first + np.arange(cells)
        if interpolate:
            number = number // block * apart + number % block
        known = np.arange(cells) < (k * control_rows if first else 0)
        plan.append([PlannedGrid(number.astype(float), np.where(number < wanted, number, HELPER), known)])
        first += k * (k - control_rows)
    if interpolate:
        number = np.arange(cells)
        ends = (number < block) | (number >= apart)
        plan.append([PlannedGrid(n.astype(float), n, ends) for n in (number + i * apart for i in range(blocks - 1))])
    return [windows for windows in plan if windows]


def _levels(slices: int, cells: int) -> list[np.ndarray]:
    """Return the slices of each level of keyframes, the last level being all of them."""
    levels = [np.arange(slices)]
    while len(levels[0]) > cells:
        below = levels[0]
        count = max(cells, -(-(len(below) - 1) // (cells - 1)) + 1)
        levels.insert(0, below[np.linspace(0, len(below) - 1, count).round().astype(int)])
    return levels


def _opening(numbers: np.ndarray, cells: int) -> PlannedGrid:
    """Return the first grid: all its slices at once, with helper cells between them where they are too few."""
    position = numbers.astype(float)
    if len(position) == 1:
        position = np.array([-0.5, 0.0, 0.5])  # from end to end of the one slice that is the volume
    while len(position) < cells:
        gap = int(np.argmax(np.diff(position)))
        position = np.insert(position, gap + 1, (position[gap] + position[gap + 1]) / 2)
    target = np.where(np.isin(position, numbers), position, HELPER).astype(int)
    return PlannedGrid(position, target, np.zeros(cells, dtype=bool))


def _check(slices: int) -> None:
    if slices < 1:
        raise CtgridError(f"slices must be at least 1, got {slices}")
