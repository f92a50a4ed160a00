"""Planes as gray images in a window, tiles in their boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from ctgrid.base.errors import CtgridError
from ctgrid.runs.report.drawing import check_window, pixels_of, place_tile, windowed


def test_a_window_is_black_below_and_white_above() -> None:
    plane = np.array([[-2000, -1000, -500, 0, 500]], np.int16)
    image = windowed(plane, (5, 1), (-1000.0, 0.0))
    assert np.asarray(image).tolist() == [[0, 0, 128, 255, 255]]
    assert windowed(plane, (10, 4), (-1000.0, 0.0)).size == (10, 4)


@pytest.mark.parametrize("window", [(0.0, 0.0), (1.0, 0.0), (math.nan, 1.0), (0.0, math.inf)])
def test_a_window_that_is_none_is_refused(window: tuple[float, float]) -> None:
    with pytest.raises(CtgridError, match="two finite HU values are needed, the lower one first"):
        check_window(window)


def test_sizes_follow_mm_and_are_never_nothing() -> None:
    assert pixels_of(200, 100, 0.5) == (100, 50) and pixels_of(0.1, 100, 0.5) == (1, 50)


def test_a_tile_lies_in_the_middle_of_its_box() -> None:
    sheet = Image.new("L", (100, 60))
    place_tile(sheet, Image.new("L", (20, 10), 200), (20, 0, 80, 60), "", "")
    bright = np.argwhere(np.asarray(sheet) == 200)
    assert bright.min(axis=0).tolist() == [25, 50] and bright.max(axis=0).tolist() == [34, 69]
