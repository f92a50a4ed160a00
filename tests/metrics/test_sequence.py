"""Slice steps and seams on sequences whose steps are known."""

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.metrics import seam_ratio, slice_steps
from ctgrid.metrics.sequence import joint_ratio


def ramp(steps: list[int]) -> np.ndarray:
    levels = np.concatenate([[0], np.cumsum(steps)])
    return np.broadcast_to(levels[:, None, None], (len(levels), 4, 4)).astype(np.int16)


def test_steps_are_mean_absolute_differences() -> None:
    assert slice_steps(ramp([1, -2, 3])).tolist() == [1, 2, 3]


def test_steps_do_not_overflow_int16() -> None:
    assert slice_steps(ramp([30000, -60000])).tolist() == [30000, 60000]


def test_seam_is_the_step_at_joints_over_the_others() -> None:
    volume = ramp([1, 1, 4, 1, 1])
    assert seam_ratio(volume, [2]) == pytest.approx(4.0)
    assert seam_ratio(volume, [2, 99, -1]) == pytest.approx(4.0)


def test_too_little_is_refused() -> None:
    with pytest.raises(CtgridError, match="two slices"):
        slice_steps(np.zeros((1, 4, 4)))
    with pytest.raises(CtgridError, match="joints"):
        seam_ratio(ramp([1, 2]), [0, 1])
    with pytest.raises(CtgridError, match="slices that differ"):
        seam_ratio(ramp([0, 3, 0]), [1])


def test_a_ratio_of_steps_that_were_taken_already() -> None:
    steps = np.array([1.0, 1.0, 4.0, 1.0, 1.0])
    assert joint_ratio(steps, [2]) == pytest.approx(4.0)
    with pytest.raises(CtgridError, match="joints"):
        joint_ratio(steps, [9])
