"""Slices as means of blocks, whatever their side."""

from __future__ import annotations

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.ct.shrunk import CHUNK, clipped, enlarged, shrink_factor, shrunk


def test_blocks_are_means_and_the_last_is_filled_with_its_edge() -> None:
    hu = np.arange((CHUNK + 2) * 49, dtype=np.int16).reshape(CHUNK + 2, 7, 7)
    small = shrunk(hu, side=3)  # factor 2, the last block is one row and column
    assert small.shape == (CHUNK + 2, 4, 4)
    assert small[3, 1, 1] == hu[3, 2:4, 2:4].mean() and small[CHUNK + 1, 3, 3] == hu[CHUNK + 1, 6, 6]


@pytest.mark.parametrize(("side", "factor"), [(100, 1), (128, 1), (255, 1), (256, 2), (512, 4)])
def test_no_more_is_taken_than_leaves_enough(side: int, factor: int) -> None:
    assert shrink_factor(side) == factor


def test_a_mask_of_blocks_covers_their_pixels() -> None:
    mask = np.array([[True, False], [False, True]])
    np.testing.assert_array_equal(enlarged(mask, 3), [[1, 1, 0], [1, 1, 0], [0, 0, 1]])


def test_hu_are_clipped_and_other_shapes_refused() -> None:
    assert clipped(np.array([[[-2048, 3000]]])).tolist() == [[[-1000, 1000]]]
    with pytest.raises(CtgridError, match=r"slices \(n, S, S\), got \(2, 0, 2\)"):
        clipped(np.zeros((2, 0, 2)))
