"""Bodies drawn from seeds: nothing at share 0, no folds, nothing from beyond the sides, sizes and shapes as drawn."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from ctgrid.data.habitus import CHEST, SKIN, Habitus, deformed, draw_habitus

FRAME_MM, EXTENT_MM = 340.0, 297.0


def body(width: float = 1.0, depth: float = 1.0, fat: float = 0.0, breath: float = 0.0) -> Habitus:
    """A body without bends."""
    return Habitus(width, depth, fat, breath, torch.zeros(2, 2, 2, 2))


def ellipse(wide: float, deep: float, size: int = 96) -> torch.Tensor:
    """Return a slice (1, 1, size, size), 1 within an ellipse (halves of the field of view) and -1 outside."""
    at = (torch.arange(size) + 0.5) * (2 / size) - 1
    return torch.where((at[None] / wide).square() + (at[:, None] / deep).square() < 1, 1.0, -1.0)[None, None]


def reach(image: torch.Tensor, axis: int) -> float:
    """Return how far what is above 0 reaches along an axis, in halves of the field of view."""
    present = torch.nonzero((image[0, 0] > 0).any(dim=1 - axis)).flatten()
    return float(present[-1] - present[0] + 1) / image.shape[-1]


def test_a_share_of_0_changes_nothing() -> None:
    one = draw_habitus(3, 0.0, FRAME_MM, EXTENT_MM)
    slices = torch.rand(5, 1, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    assert torch.allclose(deformed(slices, [one] * 5, [0.1, 0.3, 0.5, 0.7, 0.9]), slices, atol=1e-4)
    assert torch.allclose(one.breathed(slices), slices, atol=1e-5)


def test_a_seed_is_a_body() -> None:
    one, again, other = (draw_habitus(seed, 1.0, FRAME_MM, EXTENT_MM) for seed in (3, 3, 4))
    assert (one.width, one.fat, one.breath) == (again.width, again.fat, again.breath)
    assert torch.equal(one.bend, again.bend)
    assert one.width != other.width and not torch.equal(one.bend, other.bend)


@pytest.mark.parametrize("seeds", [range(0, 60), range(1000, 1060)])
def test_no_body_is_folded_or_shows_what_lies_beyond_the_sides(seeds: range) -> None:
    for seed in seeds:
        one = draw_habitus(seed, 1.0, FRAME_MM, EXTENT_MM)
        points = one.across(torch.tensor([0.0, 0.4, 1.0]), 48)
        x, y = points[..., 0], points[..., 1]
        turned = x.diff(dim=2)[:, :-1] * y.diff(dim=1)[:, :, :-1] - x.diff(dim=1)[:, :, :-1] * y.diff(dim=2)[:, :-1]
        assert (turned > 0).all(), f"seed {seed} is folded"
        assert float(x.abs().max()) <= 1.0, f"seed {seed} shows what lies beyond the sides"
        assert (one.breathed(torch.arange(201.0)).diff() >= 0).all(), f"seed {seed} changes the order of slices"


def test_width_and_depth_are_those_drawn() -> None:
    middle = ellipse(0.5, 0.4)
    for width, depth in ((1.2, 0.9), (1.1, 1.15)):
        made = deformed(middle, [body(width, depth)], [0.5])
        assert reach(made, 1) == pytest.approx(0.5 * width, abs=0.03)
        assert reach(made, 0) == pytest.approx(0.4 * depth, abs=0.03)
    narrow = reach(deformed(middle, [body(width=0.85)], [0.5]), 1)
    assert 0.5 * 0.85 < narrow < 0.47, "a body becomes less narrow towards the sides, which stay"


def test_fat_lies_between_ribs_and_skin() -> None:
    thick = body(fat=0.1)
    assert reach(deformed(ellipse(*CHEST), [thick], [0.5]), 1) == pytest.approx(CHEST[0], abs=0.03)
    skin = reach(deformed(ellipse(*SKIN), [thick], [0.5]), 0)
    assert skin == pytest.approx(SKIN[1] * 1.1, abs=0.03)


def test_breath_moves_the_middle_and_keeps_the_ends() -> None:
    heights = torch.arange(201.0)
    moved = body(breath=0.05).breathed(heights)
    assert float(moved[100]) == pytest.approx(100 - 0.05 * 201, abs=0.1)
    assert abs(float(moved[0])) < 0.5 and abs(float(moved[-1]) - 200) < 0.5
    between = body(breath=0.05).breathed(heights[:, None, None].expand(-1, 2, 2))
    assert torch.equal(between[:, 1, 0], moved)


def test_bone_alone_becomes_denser() -> None:
    """By the factor of what it has above 100 HU; soft tissue and lung stay."""
    steps = torch.tensor([-0.8, 0.05, 0.1, 0.4])[:, None, None, None].expand(4, 1, 8, 8)
    dense = replace(body(), bone=1.5)
    made = deformed(steps, [dense] * 2 + [body()] * 2, [0.5] * 4)
    assert torch.allclose(made[:, 0, 4, 4], steps[:, 0, 0, 0], atol=1e-6)
    made = deformed(steps, [dense] * 4, [0.5] * 4)
    assert made[:, 0, 4, 4].tolist() == pytest.approx([-0.8, 0.05, 0.1, 0.1 + 0.3 * 1.5], abs=1e-6)


def test_slices_of_several_bodies_and_transposed_ones() -> None:
    one, other = (draw_habitus(seed, 1.0, FRAME_MM, EXTENT_MM) for seed in (1, 2))
    slices = torch.rand(4, 1, 24, 24, generator=torch.Generator().manual_seed(2)) * 2 - 1
    places = [0.8, 0.9, 0.1, 0.2]
    both = deformed(slices, [one, one, other, other], places)
    apart = [deformed(slices[part], [of] * 2, places[part]) for of, part in ((one, slice(2)), (other, slice(2, 4)))]
    assert torch.allclose(both, torch.cat(apart), atol=1e-6)
    turned = deformed(slices.transpose(2, 3), [one, one, other, other], places, transposed=True)
    assert torch.allclose(turned.transpose(2, 3), both, atol=1e-5)


def test_bodies_spread_as_far_as_they_are_said_to() -> None:
    drawn = [draw_habitus(seed, 1.0, FRAME_MM, EXTENT_MM) for seed in range(300)]
    area = torch.tensor([math.log(of.width * of.depth) for of in drawn])
    assert float(area.std()) == pytest.approx(2 * 0.1, rel=0.15)
    assert abs(float(area.mean())) < 0.04
