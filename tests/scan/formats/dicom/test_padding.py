"""Padding that would read as tissue or metal becomes air; bits beside the values are no part of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from ctgrid.scan.formats.dicom.padding import PADDED_HU
from ctgrid.scan.formats.open import read_stored

Make = Callable[..., Path]
CORNERS = np.add.outer(np.linspace(-1, 1, 24) ** 2, np.linspace(-1, 1, 24) ** 2) > 1


@pytest.fixture(scope="module")
def hu() -> np.ndarray:
    values = np.random.default_rng(6).integers(-1000, 900, (4, 24, 24)).astype(np.int16)
    return np.where(values == 0, 1, values).astype(np.int16)


def padded(folder: Path, make: Make, hu: np.ndarray, word: int, **tags: Any) -> Path:
    """Write a series whose corners hold a 16-bit word."""
    make(folder, hu, rescale=tags.pop("rescale", (1.0, -1024.0)))
    for path in folder.iterdir():
        ds = pydicom.dcmread(path)
        words = np.frombuffer(ds.PixelData, "<u2").reshape(24, 24).copy()
        words[CORNERS] = word
        ds.PixelData = words.tobytes()
        for name, value in tags.items():
            setattr(ds, name, value)
            if name.startswith("PixelPadding"):
                ds[name].VR = "US" if value >= 0 else "SS"
        pydicom.dcmwrite(path, ds)
    return folder


@pytest.mark.parametrize(
    ("word", "tags"),
    [
        (63536, {"PixelRepresentation": 0, "PixelPaddingValue": 63536}),
        (63536, {"PixelRepresentation": 0, "PixelPaddingValue": -2000}),
        (63540, {"PixelRepresentation": 0, "PixelPaddingValue": 63536, "PixelPaddingRangeLimit": 65535}),
        (63540, {"PixelRepresentation": 0, "PixelPaddingValue": 65535, "PixelPaddingRangeLimit": 63536}),
        (63536, {"PixelRepresentation": 0, "PixelPaddingValue": 63536, "BitsStored": 12, "HighBit": 11}),
        (4095, {"PixelRepresentation": 0, "PixelPaddingValue": 4095, "BitsStored": 12, "HighBit": 11}),
        (32767, {"PixelPaddingValue": 32767}),
        (1024, {"PixelPaddingValue": 1024}),  # 0 HU, as water
    ],
)
def test_high_padding_becomes_air(make_series: Make, hu: np.ndarray, tmp_path: Path, word: int, tags: Any) -> None:
    scan = read_stored(padded(tmp_path, make_series, hu, word, **tags))
    np.testing.assert_array_equal(scan.values, np.where(CORNERS, PADDED_HU, hu))
    assert scan.values.dtype == np.int16
    assert scan.details["padding_set_to_air"] == {"voxels": 4 * int(CORNERS.sum()), "hu": PADDED_HU}
    assert "PixelPaddingValue" in scan.details["notes"][0] and "warnings" not in scan.details


def test_tissue_of_the_padding_s_value_stays(make_series: Make, hu: np.ndarray, tmp_path: Path) -> None:
    hu = hu.copy()
    hu[:, 10:14, 10:14] = 0
    scan = read_stored(padded(tmp_path, make_series, hu, 1024, PixelPaddingValue=1024))
    np.testing.assert_array_equal(scan.values, np.where(CORNERS, PADDED_HU, hu))


def test_padding_is_found_before_each_slice_s_own_map(make_series: Make, hu: np.ndarray, tmp_path: Path) -> None:
    even = hu // 2 * 2
    maps = [(2.0, -1024.0), (1.0, -1000.0), (2.0, -1200.0), (1.0, -1024.0)]
    scan = read_stored(padded(tmp_path, make_series, even, 30000, PixelPaddingValue=30000, rescale=maps))
    np.testing.assert_array_equal(scan.values, np.where(CORNERS, PADDED_HU, even))


def test_low_padding_stays(make_series: Make, hu: np.ndarray, tmp_path: Path) -> None:
    scan = read_stored(padded(tmp_path, make_series, hu, 63536, PixelPaddingValue=-2000))
    np.testing.assert_array_equal(scan.values, np.where(CORNERS, -3024, hu))
    assert "padding_set_to_air" not in scan.details


def test_padding_that_is_not_declared_is_said_aloud(make_series: Make, hu: np.ndarray, tmp_path: Path) -> None:
    scan = read_stored(padded(tmp_path, make_series, hu, 63536, PixelRepresentation=0))
    assert scan.values.max() == 62512 and "values reach 62512 HU" in scan.details["warnings"][0]


@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_the_value_are_left_out(make_series: Make, hu: np.ndarray, tmp_path: Path, signed: bool) -> None:
    make_series(tmp_path, hu, rescale=(1.0, 0.0) if signed else (1.0, -1024.0))
    for path in tmp_path.iterdir():
        ds = pydicom.dcmread(path)
        words = np.frombuffer(ds.PixelData, "<u2") & 0x0FFF
        ds.PixelData = (words | np.uint16(0x4000)).tobytes()
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 12, 11, int(signed)
        pydicom.dcmwrite(path, ds)
    scan = read_stored(tmp_path)
    np.testing.assert_array_equal(scan.values, hu)
    assert "bits above BitsStored" in scan.details["warnings"][0]
