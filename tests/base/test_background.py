"""A thread that does jobs in order: the first failure ends them, and reaches who hands over or waits."""

from __future__ import annotations

import threading

import pytest

from ctgrid.base.background import Background


def test_jobs_are_done_in_order_in_another_thread() -> None:
    done: list[tuple[int, int]] = []
    with Background(depth=2) as thread:
        for number in range(20):
            thread.put(lambda number=number: done.append((number, threading.get_ident())))
    assert [number for number, _ in done] == list(range(20))
    assert {ident for _, ident in done}.isdisjoint({threading.get_ident()})


def test_the_first_failure_ends_the_jobs_and_is_raised() -> None:
    """Whoever hands over never waits for ever."""
    done: list[int] = []

    def job(number: int) -> None:
        if number == 2:
            raise ValueError("two is too much")
        done.append(number)

    with pytest.raises(ValueError, match="two is too much"), Background(depth=1) as thread:
        for number in range(50):
            thread.put(lambda number=number: job(number))
    assert done == [0, 1]


def test_a_failure_of_the_last_job_is_raised_at_the_end() -> None:
    with pytest.raises(ZeroDivisionError), Background() as thread:
        thread.put(lambda: 1 / 0)  # type: ignore[arg-type,return-value]


def test_what_was_handed_over_is_done_after_a_failure_of_the_block() -> None:
    """Whose error it is that is raised, and not a job's."""
    done: list[int] = []
    with pytest.raises(KeyError, match="block"), Background() as thread:
        thread.put(lambda: done.append(1))
        thread.put(lambda: 1 / 0)  # type: ignore[arg-type,return-value]
        raise KeyError("block")
    assert done == [1]
