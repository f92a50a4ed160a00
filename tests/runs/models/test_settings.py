"""Slices as people type them, and what a packing must be given."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import gather
from ctgrid.runs.models.settings import ConversionSettings, PackSettings, read_slices, write_slices


@pytest.mark.parametrize("text", ["20:120:5", ":4", "::2", "-3:", "7"])
def test_slices_are_read_as_they_are_written(text: str) -> None:
    """There and back; one number is the slice of that number."""
    chosen = read_slices(text)
    assert read_slices(write_slices(chosen)) == chosen
    assert list(range(30))[read_slices("-1")] == [29] and list(range(30))[read_slices("7")] == [7]


@pytest.mark.parametrize("text", ["", "a", "1:2:0", "1,2"])
def test_slices_that_are_none(text: str) -> None:
    """Refused with the text."""
    with pytest.raises(CtgridError):
        read_slices(text)


def test_parts_must_be_given() -> None:
    """By name, all at once; and there are two stages."""
    with pytest.raises(CtgridError, match="stage1, stage2 must be given"):
        gather(PackSettings, {"codec": Path("x")})
    with pytest.raises(CtgridError, match="stage must be at most 2"):
        ConversionSettings(stage=3)
