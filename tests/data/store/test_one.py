"""Preparing one scan: what it leaves of the process it ran in."""

from __future__ import annotations

import torch

from ctgrid.data.store.one import few_threads


def test_threads_are_given_back() -> None:
    """A worker takes few; who calls from a program of their own keeps theirs."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with few_threads(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with few_threads(None):
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
