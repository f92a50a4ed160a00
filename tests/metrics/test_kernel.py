"""The kernel distance against a double loop and torchmetrics' definition, and its confidence against repetition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ctgrid.metrics.kernel as kernel
from ctgrid.base.errors import CtgridError
from ctgrid.metrics import kernel_distance
from ctgrid.metrics.kernel import kernel_distance_with_confidence


def features(n: int, d: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)) + shift


def by_double_loop(a: np.ndarray, b: np.ndarray) -> float:
    def k(x: np.ndarray, y: np.ndarray) -> float:
        return (float(np.dot(x, y)) / len(x) + 1) ** 3

    n, m = len(a), len(b)
    aa = sum(k(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    bb = sum(k(b[i], b[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return aa + bb - 2 * sum(k(x, y) for x in a for y in b) / (n * m)


def test_it_is_the_double_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = features(17, 5, 0), features(23, 5, 1, 0.4)
    expected = by_double_loop(a, b)
    assert kernel_distance(a, b) == pytest.approx(expected, rel=1e-12)
    assert kernel_distance(torch.from_numpy(a), torch.from_numpy(b)) == pytest.approx(expected, rel=1e-12)
    monkeypatch.setattr(kernel, "_BLOCK", 40)  # one or two rows at once
    assert kernel_distance(a, b) == pytest.approx(expected, rel=1e-12)


def test_it_is_unbiased_where_the_sets_are_alike() -> None:
    values = [kernel_distance(features(20, 4, 2 * s), features(25, 4, 2 * s + 1)) for s in range(200)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(200)


def test_jackknife_is_leaving_groups_out_one_by_one() -> None:
    a, b = features(14, 3, 0), features(15, 3, 1, 0.5)
    groups_a, groups_b = np.repeat([0, 1, 2, 3], [2, 5, 4, 3]), np.array(list("xxyyyyzzzzzwwww"))
    found = kernel_distance_with_confidence(a, b, groups_a, groups_b)
    variance = 0.0
    for groups, first in ((groups_a, True), (groups_b, False)):
        left = np.array(
            [
                by_double_loop(a[groups != g], b) if first else by_double_loop(a, b[groups != g])
                for g in np.unique(groups)
            ]
        )
        variance += (len(left) - 1) / len(left) * ((left - left.mean()) ** 2).sum()
    assert found.value == pytest.approx(by_double_loop(a, b), rel=1e-10)
    assert found.error == pytest.approx(np.sqrt(variance), rel=1e-8)
    assert found.confidence is not None
    assert found.confidence[0] < found.value < found.confidence[1]


def test_the_error_is_what_repetition_shows() -> None:
    """Groups of equal samples: an error that counted every sample would be three times too small."""

    def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
        return np.repeat(features(24, 4, 2 * seed), 9, axis=0), np.repeat(features(24, 4, 2 * seed + 1, 0.6), 9, axis=0)

    groups = np.repeat(np.arange(24), 9)
    found = [kernel_distance_with_confidence(*drawn(s), groups, groups) for s in range(60)]
    spread = np.std([one.value for one in found], ddof=1)
    assert 0.7 < np.mean([one.error for one in found if one.error is not None]) / spread < 1.4


def test_two_groups_give_no_confidence() -> None:
    a, b = features(10, 3, 0), features(10, 3, 1)
    found = kernel_distance_with_confidence(a, b, np.arange(10) // 5, np.arange(10))
    assert found.value == pytest.approx(kernel_distance(a, b))
    assert found.error is None
    assert found.confidence is None


def test_bad_features_are_named() -> None:
    with pytest.raises(CtgridError, match="b has 2"):
        kernel_distance(np.zeros((4, 3)), np.zeros((4, 2)))
    with pytest.raises(CtgridError, match="groups_a"):
        kernel_distance_with_confidence(np.zeros((4, 3)), np.zeros((4, 3)), np.zeros(3))


def test_sums_that_overflow_are_refused() -> None:
    with pytest.raises(CtgridError, match="too large for the cubic kernel"), np.errstate(all="ignore"):
        kernel_distance(features(6, 3, 0) * 1e200, features(6, 3, 1))
