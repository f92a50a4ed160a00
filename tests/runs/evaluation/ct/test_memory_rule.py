"""When a volume counts as a copy: limits from a reference, verdicts by shares of near and of copied slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ctgrid.runs.evaluation.ct.memory_rule import CLOSE_SHARE, PLAIN_COPY_SSIM, Rule, near_share, overall
from ctgrid.runs.evaluation.ct.neighbours import Neighbours


def found(distance: Any, ssim: Any, grid_ssim: float = 0.0) -> Neighbours:
    """A volume's neighbours, of which only nearness and likeness count."""
    distance, ssim = (np.asarray(values, float) for values in (distance, ssim))
    nothing = np.zeros(len(distance), int)
    return Neighbours(distance, ssim, nothing, nothing, distance, (0, 0, 0), grid_ssim, 1)


REFERENCE = [found(np.linspace(1, 2, 101), np.linspace(0.2, 0.6, 101)) for _ in range(2)]


def test_the_gravest_verdict_counts() -> None:
    assert overall(["no sign", "close"]) == "close" and overall(["no sign", "no sign"]) == "no sign"
    assert overall(["close", "copies", "no sign"]) == "copies"
    assert Rule.of([]).as_dict("test-to-train")["near_distance"] is None


def test_limits_are_quantiles_of_the_reference() -> None:
    rule = Rule.of(REFERENCE)
    assert rule.near_distance == pytest.approx(1.05) and rule.near_ssim == pytest.approx(0.58)
    assert rule.copy_ssim == pytest.approx((1 + 0.596) / 2) and rule.references == 2
    assert rule.close_share == CLOSE_SHARE, "none of the reference's own slices is near and alike at once"
    own = [found([1.0] * 9 + [2.0], [0.9] * 9 + [0.1]), REFERENCE[0]]
    assert Rule.of(own).close_share >= CLOSE_SHARE


def test_a_reference_that_is_unlike_everything_asks_for_half_likeness() -> None:
    assert Rule.of([found([1.0, 2.0], [-0.5, -0.1])] * 2).copy_ssim == 0.5


@pytest.mark.parametrize(
    ("near", "copied", "grid", "verdict"),
    [
        (0, 0, 0.0, "no sign"),
        (10, 0, 0.0, "no sign"),  # exactly the share that is allowed
        (11, 0, 0.0, "close"),
        (0, 2, 0.0, "copies"),
        (0, 1, 0.0, "no sign"),
        (0, 0, 0.9, "copies"),
    ],
)
def test_shares_decide(near: int, copied: int, grid: float, verdict: str) -> None:
    """Of twenty slices; near ones are nearer and more alike than the limits, both."""
    rule = Rule(1.0, 0.5, 0.9, 0.5, 2)
    distance, ssim = np.full(20, 2.0), np.full(20, 0.1)
    distance[:near], ssim[:near] = 0.5, 0.6
    ssim[20 - copied :] = 0.9
    one = found(distance, ssim, grid)
    assert rule.judge(one) == (verdict, near / 20, copied / 20)
    assert near_share(one, 1.0, 0.6) == 0, "as alike as the limit is not more alike"


def test_with_few_references_only_copies_can_be_told() -> None:
    one = found([0.1], [0.5])
    assert Rule.of(REFERENCE[:1]).judge(one)[0] == "too few" == Rule.of([]).judge(one)[0]
    assert Rule.of([]).judge(found([9.0], [PLAIN_COPY_SSIM])) == ("copies", 0.0, 1.0)
    assert overall(["no sign", "too few"]) == "too few"
    assert "no reference volumes: a slice is copied where its SSIM is 0.98" in Rule.of([]).as_dict("x")["words"]
