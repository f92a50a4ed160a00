"""Plans of grids: every slice is made once, from cells that exist by then."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.methods.synthesis.settings import Settings
from ctgrid.runs.ablation.spec import Sampling
from ctgrid.stages.orders import usual_control_rows
from ctgrid.stages.schedules import (
    HELPER,
    Between,
    SamplingPlan,
    autoregressive,
    hierarchical,
    mending,
    plan_grids,
)

SLICES = [1, 2, 3, 5, 15, 16, 17, 50, 128, 201, 226, 227, 256, 1024]


def check(plan: SamplingPlan, slices: int, k: int, beyond: bool = False) -> None:
    """Assert what every plan promises; ``beyond`` allows slices behind the last, made to fill in before them."""
    made: set[int] = set()
    for windows in plan:
        new: list[int] = []
        assert windows
        for window in windows:
            assert window.position.shape == window.target.shape == window.known.shape == (k * k,)
            assert (np.diff(window.position) > 0).all()
            used = window.target != HELPER
            assert np.array_equal(window.target[used], window.position[used])
            assert used[window.known].all()
            assert made.issuperset(window.target[window.known].tolist())
            new += window.target[used & ~window.known].tolist()
        assert len(new) == len(set(new)) and made.isdisjoint(new)
        assert new
        made.update(new)
    assert (made if not beyond else made & set(range(slices))) == set(range(slices))


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("slices", SLICES)
def test_hierarchical_makes_every_slice_once(slices: int, k: int) -> None:
    """Each gap lies between two known cells, in a window that stays inside the volume."""
    plan = hierarchical(slices, k)
    check(plan, slices, k)
    assert len(plan[0]) == 1 and not plan[0][0].known.any()
    if slices > 1:
        opening = plan[0][0]
        assert (opening.position[0], opening.position[-1]) == (0, slices - 1)
        assert (opening.target[0], opening.target[-1]) == (0, slices - 1)
    for window in (w for windows in plan[1:] for w in windows):
        assert window.position.min() >= 0 and window.position.max() <= slices - 1
        unknown = np.flatnonzero((window.target != HELPER) & ~window.known)
        assert window.known[unknown[0] - 1] and window.known[unknown[-1] + 1]
        assert (np.diff(unknown) == 1).all()


def described(plan: SamplingPlan) -> list[list[tuple[list[float] | None, ...]]]:
    """Return a plan as lists, which compare."""
    return [
        [tuple(None if of is None else of.tolist() for of in vars(grid).values()) for grid in grids] for grids in plan
    ]


@pytest.mark.parametrize("slices", [1, 20, 201])
def test_synthesis_and_ablation_plan_alike_but_for_the_mending(slices: int) -> None:
    """Both orders; what compares joints leaves them as they are."""
    made = described(plan_grids("hierarchical", slices))
    bare = described(Sampling(schedule="hierarchical").plan(slices, 4))
    assert made == described(Settings(slices=slices, schedule="hierarchical").plan(4))
    assert bare == described(hierarchical(slices)) and made == bare + described(mending(slices))
    rolling = Settings(slices=slices, schedule="autoregressive", control_rows=2)
    assert described(rolling.plan(4)) == described(Sampling(control_rows=2).plan(slices, 4))


def test_hierarchical_needs_two_passes_for_a_chest() -> None:
    """One grid of keyframes, then 15 gaps at once, the last window pushed back from the end."""
    keyframes, gaps = hierarchical(201)
    assert (len(keyframes), len(gaps)) == (1, 15)
    assert np.diff(keyframes[0].target).tolist() == [13, 14, 13] * 5
    assert gaps[-1].position.tolist() == list(range(185, 201))
    assert gaps[-1].target[[0, 2, 15]].tolist() == [HELPER, 187, 200]


@pytest.mark.parametrize(("slices", "passes"), [(16, 1), (17, 2), (226, 2), (227, 3), (1024, 3)])
def test_hierarchical_takes_as_few_passes_as_gaps_allow(slices: int, passes: int) -> None:
    """A gap holds 14 slices at most, so two levels reach 15 * 15 + 1."""
    assert len(hierarchical(slices)) == passes


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("slices", SLICES)
def test_mending_takes_slices_between_known_ones(slices: int, k: int) -> None:
    """Around every keyframe between two gaps; no slice twice, and no helper cells."""
    for windows in mending(slices, k):
        new: list[int] = []
        for window in windows:
            assert np.array_equal(window.target, window.position)
            assert window.target[0] >= 0 and window.target[-1] == window.target[0] + k * k - 1 < slices
            unknown = np.flatnonzero(~window.known)
            assert len(unknown) > 0 and (np.diff(unknown) == 1).all()
            assert window.known[unknown[0] - 1] and window.known[unknown[-1] + 1]
            new += window.target[~window.known].tolist()
        assert len(new) == len(set(new))


def test_mending_a_chest() -> None:
    """14 keyframes, four slices on either side, which count less by a fifth each; a single grid has no seams."""
    (keyframes,) = mending(201)
    first = keyframes[0]
    assert len(keyframes) == 14 and first.share is not None
    assert first.target[~first.known].tolist() == list(range(13 - 4, 13 + 5))
    assert first.share[~first.known] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 0.8, 0.6, 0.4, 0.2])
    assert not first.share[first.known].any()
    assert mending(16) == []


def test_a_single_slice_lies_in_the_middle_of_its_grid() -> None:
    """The other cells only fill the grid."""
    window = hierarchical(1)[0][0]
    assert (window.target != HELPER).sum() == 1
    assert window.position[window.target == 0] == 0
    assert (window.position[0], window.position[-1]) == (-0.5, 0.5)


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("slices", SLICES)
def test_autoregressive_makes_every_slice_once(slices: int, rows: int) -> None:
    """n passes after the first give K² + n K (K - r) slices; what is known is the last r rows made."""
    plan = autoregressive(slices, 4, rows)
    check(plan, slices, 4)
    assert all(len(windows) == 1 for windows in plan)
    extra = len(plan) - 1
    assert 16 + extra * 4 * (4 - rows) >= slices
    assert extra == 0 or 16 + (extra - 1) * 4 * (4 - rows) < slices
    for (before,), (after,) in pairwise(plan):
        assert after.known.tolist() == [True] * (4 * rows) + [False] * (16 - 4 * rows)
        assert after.target[after.known].tolist() == before.target[16 - 4 * rows :].tolist()


@pytest.mark.parametrize("plan", [hierarchical, autoregressive])
def test_no_slices_are_refused(plan: object) -> None:
    """Zero is no volume."""
    with pytest.raises(CtgridError, match="at least 1, got 0"):
        plan(0)  # type: ignore[operator]


@pytest.mark.parametrize("rows", [0, 4])
def test_control_rows_out_of_range_are_refused(rows: int) -> None:
    """No row known would be no extension, all rows known no progress."""
    with pytest.raises(CtgridError, match=rf"1\.\.\.3 .* got {rows}"):
        autoregressive(50, 4, rows)


@pytest.mark.parametrize(
    ("k", "between", "block"),
    [(2, "half", 1), (3, "half", 2), (4, "half", 4), (8, "half", 16), (4, "inner", 4), (8, "inner", 8)],
)
@pytest.mark.parametrize("slices", [1, 4, 8, 16, 17, 128, 201, 256, 1024])
def test_interpolation_makes_every_slice_once_at_even_spacing(
    slices: int, k: int, between: Between, block: int
) -> None:
    """Blocks a grid apart, then all fillings in one pass between the known ends (Algorithm 2)."""
    for rows in range(1, k):
        plan = autoregressive(slices, k, rows, interpolate=True, between=between)
        check(plan, slices, k, beyond=True)
        if slices <= block:
            assert len(plan) == 1
            continue
        *extending, filling = plan
        for window in filling:
            assert (np.diff(window.position) == 1).all()
            assert np.flatnonzero(~window.known).tolist() == list(range(block, k * k - block))
        for window in (w for windows in extending for w in windows):
            assert (np.diff(window.position[: k * k // block * block : block]) == k * k - block).all() or k * k % block


def test_half_of_a_grid_is_interpolated() -> None:
    """The paper's K = 2, 4 and 8: one cell, one row, two rows at either end; two rows of four are both its readings."""
    for k in (2, 4, 8):
        filling = autoregressive(256, k, 1, interpolate=True)[-1]
        assert all(window.known.sum() == k * k // 2 for window in filling)
    assert described(autoregressive(256, 4, 3, True)) == described(autoregressive(256, 4, 3, True, "inner"))
    with pytest.raises(CtgridError, match="2 x 2 have no rows between the first and the last; interpolate 'half'"):
        autoregressive(20, 2, 1, True, "inner")


def test_control_rows_are_the_papers() -> None:
    """One, three and four rows; others lie between 1 and K - 1."""
    assert [usual_control_rows(k) for k in (2, 4, 8)] == [1, 3, 4]
    assert all(1 <= usual_control_rows(k) < k for k in range(2, 20))
    plan = Settings(slices=201, schedule="autoregressive").plan(4)
    assert described(plan) == described(autoregressive(201, 4, 3))


@pytest.mark.parametrize("k", [2, 4, 8])
def test_passes_make_as_many_slices_as_the_algorithm_counts(k: int) -> None:
    """L = K² + n K (K - r) after n passes, for every r; one slice more takes one pass more."""
    for rows in range(1, k):
        for n in range(4):
            length = k * k + n * k * (k - rows)
            assert len(autoregressive(length, k, rows)) == n + 1
            assert len(autoregressive(length + 1, k, rows)) == n + 2
