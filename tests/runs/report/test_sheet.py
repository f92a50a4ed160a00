"""Where tiles lie: inside the sheet, beside each other, in true proportions."""

from __future__ import annotations

from itertools import combinations

import pytest

from ctgrid.runs.report.sheet import GAP_PX, LABEL_PX, MONTAGE_PX, VIEWS_PX, Box, Sheet, lay_out

CHEST, THIN = (350.0, 350.0, 300.0), (350.0, 350.0, 5.0)


def apart(one: Box, other: Box) -> bool:
    return (
        one[0] + one[2] + GAP_PX <= other[0]
        or other[0] + other[2] + GAP_PX <= one[0]
        or one[1] + one[3] + GAP_PX <= other[1]
        or other[1] + other[3] + GAP_PX <= one[1]
    )


def boxes(sheet: Sheet) -> list[Box]:
    return [*sheet.slices, *sheet.views]


@pytest.mark.parametrize("sides", [CHEST, THIN, (100.0, 400.0, 50.0), (400.0, 100.0, 900.0), (10.0, 10.0, 10.0)])
@pytest.mark.parametrize("shown", [1, 2, 5, 9, 16])
def test_tiles_lie_inside_apart_and_hold_the_volume(shown: int, sides: tuple[float, float, float]) -> None:
    x_mm, y_mm, z_mm = sides
    sheet = lay_out(shown, *sides)
    assert len(sheet.slices) == shown and 0 < sheet.covered(*sides) <= 1.001
    for left, top, width, height in boxes(sheet):
        assert left >= 0 and top >= 0 and left + width <= sheet.width and top + height <= sheet.height
    assert all(apart(one, other) for one, other in combinations(boxes(sheet), 2))
    for _, _, width, height in sheet.slices:
        assert x_mm * sheet.slice_scale <= width + 1 and y_mm * sheet.slice_scale <= height + 1
    for side_mm, (_, _, width, height) in zip((x_mm, y_mm), sheet.views, strict=True):
        assert side_mm * sheet.view_scale <= width + 1 and z_mm * sheet.view_scale <= max(height, LABEL_PX) + 1


def test_a_chest_has_its_views_beside_the_slices_and_a_thin_one_below() -> None:
    """Where the column beside them would be black."""
    usual, thin = lay_out(16, *CHEST), lay_out(16, *THIN)
    assert usual.width == MONTAGE_PX + GAP_PX + VIEWS_PX and usual.views[0][0] > MONTAGE_PX
    assert thin.width == MONTAGE_PX and thin.views[0][1] > thin.slices[-1][1]
    assert thin.views[0][3] == LABEL_PX, "room for its label"


def test_slices_fill_rows_from_the_upper_left() -> None:
    first, second, *_ = lay_out(16, *CHEST).slices
    assert first[:2] == (0, 0) and second[1] == 0 and second[0] == first[2] + GAP_PX
