"""Scouts, screenshots and dose sheets: told from slices without a word, and excusing nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid import CtgridError
from ctgrid.scan.formats.open import read_stored

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def hu() -> np.ndarray:
    return np.random.default_rng(8).integers(-1000, 1000, (12, 5, 7)).astype(np.int16)


SCOUT = {"ImageType": ["ORIGINAL", "PRIMARY"], "ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}
SHEET = dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"))
SHEET = SHEET | {"ImageType": ["DERIVED", "SECONDARY", "OTHER"]}


@pytest.mark.parametrize(("tags", "rescale"), [(SCOUT, (1.0, -1024.0)), (SHEET, None)])
@pytest.mark.parametrize("same_size", [True, False])
def test_scouts_and_dose_sheets_are_known_without_a_word(
    make_series: Make, hu: np.ndarray, tmp_path: Path, tags: Any, rescale: Any, same_size: bool
) -> None:
    make_series(tmp_path, hu, AcquisitionNumber=2)
    other = hu[:2] if same_size else hu[:2, :4, :4]
    make_series(tmp_path, other, suffix="x.dcm", rescale=rescale, AcquisitionNumber=1, **tags)
    scan = read_stored(tmp_path)
    np.testing.assert_array_equal(scan.values, hu)
    assert "2 files of the series were left out" in scan.details["warnings"][0]
    assert scan.details["series_list"][0]["files"] == 14


def test_a_scout_excuses_no_gap(make_series: Make, hu: np.ndarray, tmp_path: Path) -> None:
    make_series(tmp_path, hu, positions=[2.5 * i + 2.5 * (i > 5) for i in range(12)])
    make_series(tmp_path, hu[:1, :4, :4], suffix="x.dcm", **SCOUT)
    with pytest.raises(CtgridError, match="slices are missing, 1 between"):
        read_stored(tmp_path)
