"""Likeness of slices that were moved, and of those that were not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ctgrid.runs.evaluation.ct.likeness import best_similarity, moved, shift_between, similarity


@pytest.mark.parametrize("shift", [(0, 0), (3, -5), (-8, 8), (0, 1)])
def test_a_moved_slice_is_put_back(shift: tuple[int, int], patient: Callable[..., np.ndarray]) -> None:
    a = patient(0, n=3)[1]
    b = moved(a, shift)
    assert shift_between(a, b) == (-shift[0], -shift[1])
    assert best_similarity(a, b) > 0.95
    assert shift == (0, 0) or similarity(a, b) < 0.9


def test_moving_loses_what_leaves_and_brings_air() -> None:
    image = np.arange(9, dtype=np.int16).reshape(3, 3)
    assert moved(image, (1, -1)).tolist() == [[-1000] * 3, [1, 2, -1000], [4, 5, -1000]]


def test_it_is_never_less_alike_for_trying(patient: Callable[..., np.ndarray]) -> None:
    """Other patients, and slices of nothing but air."""
    a, b = patient(0, n=3)[1], patient(1, n=3)[1]
    assert similarity(a, b) <= best_similarity(a, b) < 0.9
    air = np.full((16, 16), -1000, np.int16)
    assert best_similarity(air, air) == 1
