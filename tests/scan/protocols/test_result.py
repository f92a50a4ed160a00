"""Both resolutions of a scan from one pass, a few slices in float at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.scan.grid import downsample
from ctgrid.scan.protocols.result import OutsideProtocol, both_sizes, check_sizes


def planes(n: int, size: int = 16) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (n, size, size)).astype(np.float32)


@pytest.mark.parametrize("n", [1, 8, 19])
@pytest.mark.parametrize("k", [1, 2, 4])
def test_both_sizes_are_those_of_the_whole_at_once(n: int, k: int) -> None:
    """The coarse slices are reduced before anything is rounded."""
    unit = planes(n)
    threads = torch.get_num_threads()
    fine, coarse = both_sizes(iter(unit), n, 16, k)
    assert fine.dtype == coarse.dtype == np.int16 and torch.get_num_threads() == threads
    np.testing.assert_array_equal(fine, np.rint(unit * np.float32(1000)))
    small = downsample(torch.from_numpy(unit)[:, None], k)[:, 0].numpy() if k > 1 else unit
    np.testing.assert_array_equal(coarse, np.rint(small * np.float32(1000)))


def test_a_plane_may_be_overwritten_once_the_next_is_asked_for() -> None:
    unit = planes(5)

    def reused() -> Iterator[np.ndarray]:
        one = np.empty((16, 16), np.float32)
        for plane in unit:
            one[...] = plane
            yield one

    np.testing.assert_array_equal(both_sizes(reused(), 5, 16, 2)[0], both_sizes(iter(unit), 5, 16, 2)[0])


@pytest.mark.parametrize(("size", "k"), [(0, 1), (16, 0), (15, 2), (-16, 2), (16, -2), (2, 4)])
def test_sizes_that_do_not_fit_are_refused(size: int, k: int) -> None:
    check_sizes(16, 4)
    with pytest.raises(CtgridError, match=f"size {size} must be a positive multiple of k = {k}"):
        check_sizes(size, k)


def test_what_a_protocol_leaves_out_is_an_error_of_its_own() -> None:
    assert issubclass(OutsideProtocol, CtgridError)
