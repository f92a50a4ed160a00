"""Structures put into a lung, or taken out of it, are counted; noise and edges are not."""

from __future__ import annotations

import numpy as np
import pytest

from ctgrid.runs.evaluation.inventions import find_inventions, inner_lung

SPACING = (2.0, 1.0, 1.0)


@pytest.fixture
def clean() -> np.ndarray:
    """Return (n, y, x) HU of lung."""
    return np.full((12, 40, 40), -850.0, np.float32)


def test_blobs_are_counted_where_they_are(clean: np.ndarray) -> None:
    found = clean.copy()
    found[3:6, 10:15, 10:15] += 400
    found[8:10, 28:33, 28:33] += 300
    found[3:6, 28:33, 8:13] -= 400
    seen = find_inventions(found, clean, np.ones(clean.shape, bool), SPACING)
    assert (seen.false_count, seen.lost_count) == (2, 1)
    assert seen.worst is not None and 3 <= seen.worst[0] < 6 and 10 <= seen.worst[1] < 15 and 10 <= seen.worst[2] < 15
    assert seen.litres == pytest.approx(12 * 40 * 40 * 2 / 1e6)
    assert seen.false_per_litre == pytest.approx(2 / seen.litres)


def test_single_pixels_and_what_lies_outside_do_not_count(clean: np.ndarray) -> None:
    found, inner = clean.copy(), np.ones(clean.shape, bool)
    found[5, 20, 20] += 600  # noise
    found[:, :5] += 800
    inner[:, :5] = False
    seen = find_inventions(found, clean, inner, SPACING)
    assert (seen.false_count, seen.lost_count, seen.worst) == (0, 0, None)


def test_no_lung_has_no_rate(clean: np.ndarray) -> None:
    assert find_inventions(clean, clean, np.zeros(clean.shape, bool), SPACING).false_per_litre is None


def test_the_edge_is_left_out_in_mm() -> None:
    lungs = np.zeros((15, 40, 40), bool)
    lungs[2:13, 10:30, 10:30] = True
    inner = inner_lung(lungs, SPACING)
    assert np.flatnonzero(inner.any(axis=(1, 2))).tolist() == list(range(3, 12))  # 4 mm from what is outside
    assert np.flatnonzero(inner.any(axis=(0, 1))).tolist() == list(range(13, 27))
