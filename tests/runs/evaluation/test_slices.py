"""Choosing slices, their neighbours, and where a part of a volume lies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.slices import parse_slices, runs_of, subvolume, with_context
from ctgrid.scan.volume import Volume


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (":", range(10)),
        ("", range(10)),
        ("2:5", [2, 3, 4]),
        ("::4", [0, 4, 8]),
        ("-3:", [7, 8, 9]),
        ("8:2:-3", [5, 8]),
        ("7", [7]),
        ("-1", [9]),
    ],
)
def test_as_in_python(text: str, wanted: list[int]) -> None:
    assert parse_slices(text, 10).tolist() == list(wanted)


@pytest.mark.parametrize("text", ["5:5", "20:30", "a:b", "1:2:3:4", "::0", "12", "1.5"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(CtgridError, match="slices"):
        parse_slices(text, 10)


@given(st.sets(st.integers(0, 29), min_size=1), st.integers(0, 3))
def test_neighbours_are_there_and_runs_are_unbroken(chosen: set[int], context: int) -> None:
    seen = with_context(np.array(sorted(chosen)), 30, context)
    assert all(set(range(max(0, i - context), min(29, i + context) + 1)) <= set(seen.tolist()) for i in chosen)
    runs = runs_of(seen, context)
    assert np.array_equal(np.concatenate(runs), seen)
    if context:
        assert all((np.diff(run) == 1).all() for run in runs)
    else:
        assert len(runs) == 1


def test_the_whole_volume() -> None:
    assert with_context(np.array([3]), 5, None).tolist() == [0, 1, 2, 3, 4]


def test_a_part_lies_where_it_lay(oblique_affine: np.ndarray) -> None:
    hu = np.arange(6 * 8 * 8, dtype=np.float32).reshape(6, 8, 8)
    part = subvolume(hu[2:4], Volume(hu, oblique_affine), np.array([2, 3]))
    assert np.allclose(part.affine @ [1, 2, 0, 1], oblique_affine @ [1, 2, 2, 1])
