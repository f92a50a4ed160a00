"""Several volumes on one sheet, a row each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ctgrid import Volume
from ctgrid.base.errors import CtgridError
from ctgrid.runs.report.gallery import CAPTION_PX, GAP_PX, PLANES, TILE_PX, VOLUMES, gallery, save_gallery

STEP = TILE_PX + GAP_PX


def volume(value: int) -> Volume:
    """Return a volume of one value, a cube in mm."""
    return Volume(np.full((10, 20, 20), value, np.int16), np.diag([-1.0, -1.0, 2.0, 1.0]))


def test_every_volume_has_its_row_of_planes() -> None:
    sheet = np.asarray(gallery([("a", lambda: volume(400)), ("b", lambda: volume(-1000))], (-1000.0, 400.0)))
    assert sheet.shape == (2 * STEP + CAPTION_PX, len(PLANES) * STEP - GAP_PX)
    for column in range(len(PLANES)):
        middle = slice(column * STEP + TILE_PX // 2, column * STEP + TILE_PX // 2 + 20)
        assert (sheet[TILE_PX // 2 : TILE_PX // 2 + 20, middle] == 255).all()
        assert (sheet[STEP + TILE_PX // 2 : STEP + TILE_PX // 2 + 20, middle] == 0).all()


def test_none_and_too_many_are_refused() -> None:
    for count in (0, VOLUMES + 1):
        with pytest.raises(CtgridError, match=f"shows 1 to {VOLUMES} volumes, got {count}"):
            gallery([("a", lambda: volume(0))] * count)


def test_a_sheet_is_written_and_not_written_over(tmp_path: Path) -> None:
    path, items = tmp_path / "sheet.png", [("a", lambda: volume(0))]
    save_gallery(items, path)
    with Image.open(path) as picture:
        assert picture.height == STEP + CAPTION_PX
    with pytest.raises(CtgridError, match="--overwrite"):
        save_gallery(items, path)
