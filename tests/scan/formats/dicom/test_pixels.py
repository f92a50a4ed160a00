"""Stored pixels become HU: each slice by its own map, in the smallest type that is exact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from ctgrid.scan.formats.dicom.pixels import narrow, rescale
from ctgrid.scan.formats.open import read_stored

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def hu() -> np.ndarray:
    """Eight small slices, all different."""
    return RNG.integers(-1000, 1000, (8, 6, 7)).astype(np.int16)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless])
def test_transfer_syntaxes_of_pydicom(
    make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path, syntax: str
) -> None:
    make_series(tmp_path, hu)
    for path in tmp_path.iterdir():
        ds = pydicom.dcmread(path)
        if syntax == RLELossless:
            ds.compress(RLELossless)
        else:
            ds.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(path, ds, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    scan = read_stored(tmp_path)
    np.testing.assert_array_equal(scan.values, hu)
    assert scan.details["transfer_syntax"] == pydicom.uid.UID(syntax).name


@pytest.mark.parametrize(
    ("tags", "rescale"),
    [
        ({"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0}, (1.0, -1024.0)),
        ({"PhotometricInterpretation": "MONOCHROME1"}, (1.0, -1024.0)),
        ({"Manufacturer": "X"}, None),
        ({}, (2.0, -1024.0)),
    ],
)
def test_stored_bits_become_hu(
    make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path, tags: dict[str, Any], rescale: Any
) -> None:
    hu = hu // 2 * 2
    scan = read_stored(make_series(tmp_path, hu, rescale=rescale, **tags))
    np.testing.assert_array_equal(scan.values, hu)
    assert scan.values.dtype == np.int16
    assert scan.applied == rescale


def test_each_slice_has_its_own_rescale(make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path) -> None:
    maps = [(1.0 + i / 4, -1000.0 - i) for i in range(len(hu))]
    scan = read_stored(make_series(tmp_path, hu, rescale=maps))
    assert scan.values.dtype == np.float32
    assert np.abs(scan.values - hu).max() <= 1.4
    assert scan.details["rescale_varies"] == {"slope": [1.0, 2.75], "intercept": [-1007.0, -1000.0]}
    assert scan.applied == (1.0, -1000.0)


def test_values_outside_the_field_of_view_stay(
    make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path
) -> None:
    hu = hu.copy()
    hu[:, 0, :] = -3024
    scan = read_stored(make_series(tmp_path, hu, PixelPaddingValue=-2000))
    np.testing.assert_array_equal(scan.values, hu)
    assert scan.details["pixel_padding"] == "-2000"


def test_whole_maps_keep_whole_numbers_without_overflow() -> None:
    plane = np.array([[0, 65535]], np.uint16)
    found = rescale(plane, 2.0, -1024.0)
    assert found.dtype == np.int64 and found.tolist() == [[-1024, 130046]]
    found = rescale(plane.view(np.int16), 0.5, -10.25)
    assert found.dtype == np.float64 and found.tolist() == [[-10.25, -10.75]]
    assert rescale(plane, 1e9, 0.0).dtype == np.float64, "whole, but its product may not be"


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([-32768, 32767], np.int64), np.int16),
        (np.array([0, 32768], np.int64), np.int32),
        (np.array([-(2**31) - 1, 0], np.int64), np.float32),
        (np.array([0.0, 1.0]), np.float32),
    ],
)
def test_the_smallest_exact_type(values: np.ndarray, dtype: type) -> None:
    found = narrow(values)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.astype(np.float64), values.astype(np.float32 if dtype is np.float32 else float))
