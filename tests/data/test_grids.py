"""Which slices a training grid holds: three ways to draw, in the shares asked for."""

from __future__ import annotations

import pytest
import torch

from ctgrid.base.draws import generator_for
from ctgrid.data.grids import draw_plan, spread


@pytest.mark.parametrize("slices", [16, 40, 201])
def test_every_plan_stays_in_the_volume_and_leaves_something_to_learn(slices: int) -> None:
    """Indices ascend, and never are all cells known."""
    for i in range(150):
        plan = draw_plan(slices, 4, generator_for(i), (1, 2, 4, 12), 0.3, 0.3, 0.3)
        assert plan.index.shape == plan.known.shape == (16,)
        assert plan.index.dtype == torch.int64 and plan.known.dtype == torch.bool
        assert (plan.index.diff() > 0).all()
        assert plan.index[0] >= 0 and plan.index[-1] < slices
        assert not plan.known.all()


def test_keyframes_span_the_volume() -> None:
    """Nothing is known yet."""
    plan = draw_plan(201, 4, generator_for(1), keyframe_share=1.0)
    assert plan.index.tolist() == spread(0, 200, 16).tolist()
    assert (plan.index[0], plan.index[-1]) == (0, 200)
    assert not plan.known.any()


def test_windows_are_neighbours_between_two_known_slices() -> None:
    """Their distance is that of keyframes, 13 or 14 in 201 slices, and one shorter for variety."""
    gaps, firsts = set(), set()
    for i in range(200):
        plan = draw_plan(201, 4, generator_for(i), window_share=1.0)
        assert (plan.index.diff() == 1).all()
        first, last = plan.known.nonzero().flatten().tolist()
        gaps.add(last - first)
        firsts.add(first)
    assert gaps == {12, 13, 14}
    assert 0 in firsts and len(firsts) > 1


def test_some_windows_are_known_at_both_ends_and_open_in_the_middle() -> None:
    """As a pass that mends seams finds them."""
    plans = [draw_plan(201, 4, generator_for(i), window_share=1.0, mending_share=0.5) for i in range(200)]
    assert all(plan.window for plan in plans)
    mending = [plan for plan in plans if plan.known.sum() > 2]
    assert 70 < len(mending) < 130
    for plan in mending:
        unknown = (~plan.known).nonzero().flatten()
        assert (unknown.diff() == 1).all() and len(unknown) in (7, 9)
        assert plan.known[0] and plan.known[-1]


def test_runs_use_all_strides_from_random_starts() -> None:
    """A stride that is too long for the volume is shortened."""
    plans = [draw_plan(100, 4, generator_for(i), (1, 2, 12)) for i in range(200)]
    strides = {tuple(sorted(set(plan.index.diff().tolist()))) for plan in plans}
    assert strides == {(1,), (2,), (6, 7)}
    assert len({int(plan.index[0]) for plan in plans if plan.index[1] - plan.index[0] == 1}) > 20
    assert not any(plan.known.any() for plan in plans)


def test_known_cells_of_runs_are_rows_ends_or_any() -> None:
    """With ``unknown_share`` none are known."""
    kinds = {"none": 0, "rows": 0, "ends": 0, "any": 0}
    for i in range(300):
        known = draw_plan(201, 4, generator_for(i), unknown_share=0.4).known.tolist()
        count = sum(known)
        if count == 0:
            kinds["none"] += 1
        elif known == [True] * count + [False] * (16 - count) and count % 4 == 0:
            kinds["rows"] += 1
        elif count == 2 and known[0] and known[-1]:
            kinds["ends"] += 1
        else:
            kinds["any"] += 1
    assert kinds["none"] == pytest.approx(120, abs=30)
    assert all(kinds[kind] == pytest.approx(60, abs=25) for kind in ("rows", "ends", "any"))


def test_the_same_generator_gives_the_same_plan() -> None:
    """Everything is drawn from it."""
    one, two = (draw_plan(201, 4, generator_for(3), (1, 2), 0.2, 0.2, 0.2) for _ in range(2))
    assert torch.equal(one.index, two.index) and torch.equal(one.known, two.known)


@pytest.mark.parametrize(("stride", "firsts"), [(1, list(range(0, 185, 16))), (4, [0, 61, 122])])
def test_the_papers_runs_lie_side_by_side(stride: int, firsts: list[int]) -> None:
    """From slice 0 on, without overlap; what is left of 201 slices behind the last is not used."""
    plans = [draw_plan(201, 4, generator_for(i), (stride,), starts="paper") for i in range(200)]
    assert sorted({int(plan.index[0]) for plan in plans}) == firsts
    assert all((plan.index.diff() == stride).all() for plan in plans)


def test_a_volume_of_one_grid_starts_at_its_first_slice() -> None:
    """And a shorter one is spread."""
    assert draw_plan(16, 4, generator_for(1), starts="paper").index.tolist() == list(range(16))
    assert draw_plan(10, 4, generator_for(1), starts="paper").index.tolist() == spread(0, 9, 16).tolist()


def test_some_windows_are_shown_backward() -> None:
    """The same slices and the same known cells; runs and keyframes never."""
    plans = [draw_plan(201, 4, generator_for(i), window_share=1.0, reversed_share=0.5) for i in range(100)]
    assert 30 < sum(plan.backward for plan in plans) < 70
    for plan in plans:
        assert plan.shown.tolist() == sorted(plan.index.tolist(), reverse=plan.backward)
    assert not draw_plan(201, 4, generator_for(1), keyframe_share=1.0, reversed_share=1.0).backward
