"""Attention drawn over its grid: the token framed, the hottest place coloured, a tile for each map."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.runs.attention.maps import Attended
from ctgrid.runs.attention.picture import HOT, TILE_PX, attention_picture, token_number


def test_tokens_are_counted_cell_by_cell() -> None:
    """In 2 x 2 cells of 3 x 3 tokens; by default the middle of the middle cell."""
    assert token_number((0, 0, 0), 2, 36) == 0 and token_number((1, 0, 2), 2, 36) == 11
    assert token_number((3, 2, 2), 2, 36) == 35
    assert token_number(None, 2, 36) == token_number((3, 1, 1), 2, 36)
    assert token_number(None, 4, 256) == token_number((10, 2, 2), 4, 256)
    for token in ((4, 0, 0), (0, 3, 0), (0, 0, 3)):
        with pytest.raises(CtgridError, match="cells 0 to 3, rows and columns 0 to 2"):
            token_number(token, 2, 36)


def test_the_hottest_place_is_coloured_and_the_token_framed() -> None:
    """2 x 2 cells of one token: token 0 attends to cell 3 alone, at the lower right."""
    attention = torch.zeros(4, 4)
    attention[0, 3] = 0.25
    black = torch.full((1, 8, 8), -1.0)
    maps = {(t, b): attention for t in (100, 900) for b in (0, 1, 5)}
    sheet = attention_picture(Attended(black, 2, maps, []), (0, 0, 0))
    assert sheet.size == (3 * TILE_PX, 2 * TILE_PX)
    pixels, half = np.asarray(sheet), TILE_PX // 2
    for top in (0, TILE_PX):
        for left in (0, TILE_PX, 2 * TILE_PX):
            tile = pixels[top : top + TILE_PX, left : left + TILE_PX]
            np.testing.assert_allclose(tile[half + 50, half + 50], 0.85 * np.array(HOT), atol=1)
            assert not tile[half + 50, 50].any() and not tile[50, half + 50].any()
            assert (tile[half // 2, 0] == 255).all() and (tile[half, half // 2] == 255).all(), "the frame of cell 0"
