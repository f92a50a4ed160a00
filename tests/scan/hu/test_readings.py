"""Maps from stored values to HU: applied once, whatever was applied before, and exactly where that can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctgrid.scan.formats.stored import StoredScan
from ctgrid.scan.hu.readings import STORED, Reading, apply_plane, apply_reading, distinct, header_reading, hu_dtype

SLOPES = st.floats(0.01, 50) | st.floats(-50, -0.01)
INTERCEPTS = st.floats(-4000, 4000)


def scan(values: np.ndarray, slope: float = 1.0, intercept: float = 0.0, applied: bool = False) -> StoredScan:
    """Return values as a reader hands them over, with the header's map, which it may have applied."""
    if applied:
        return StoredScan(values, np.eye(4), "dicom", applied=(slope, intercept))
    return StoredScan(values, np.eye(4), "nifti", slope, intercept)


@given(stored=st.integers(-32768, 65535), slope=SLOPES, intercept=INTERCEPTS, before=SLOPES, offset=INTERCEPTS)
def test_a_map_after_another_gives_what_it_gives_alone(
    stored: int, slope: float, intercept: float, before: float, offset: float
) -> None:
    """So that exactly one is applied to what was stored."""
    reading = Reading("sidecar", slope, intercept)
    later = reading.after((before, offset))
    wanted = slope * stored + intercept
    scale = abs(slope) * (abs(stored) + abs(offset / before)) + abs(intercept) + 1
    assert abs(later.slope * (before * stored + offset) + later.intercept - wanted) < 1e-9 * scale
    assert reading.after(None) is reading


def test_the_header_means_the_same_before_and_after_it_was_applied() -> None:
    stored = np.int16([[[0, 1024, 4095]]])
    plain, done = scan(stored, 2.0, -1024.0), scan(stored * 2 - 1024, 2.0, -1024.0, applied=True)
    found = [apply_reading(s.values, header_reading(s).after(s.applied)) for s in (plain, done)]
    assert np.array_equal(*found) and found[0].max() == 2 * 4095 - 1024
    assert header_reading(done).after(done.applied).identity and not header_reading(plain).identity


def test_readings_that_agree_for_every_value_are_one() -> None:
    """By half a HU, over the values that are there: a slope may differ where nothing is large."""
    near, far = Reading("header", 1.001, 0.0), Reading("sidecar", 1.0, -1024.0)
    small, large = scan(np.int16([[[0, 100]]])), scan(np.int16([[[0, 3000]]]))
    assert distinct([STORED, near, far], small) == [STORED, far]
    assert distinct([STORED, near, far], large) == [STORED, near, far]
    assert distinct([far], large) == [far] and distinct([far, far], large) == [far]


@pytest.mark.parametrize(
    ("values", "slope", "intercept", "dtype"),
    [
        (np.int16([[[0, 32767]]]), 1.0, 0.0, np.int16),
        (np.int16([[[0, 32767]]]), 1.0, 1.0, np.float32),
        (np.int16([[[-32768, 0]]]), 1.0, -1.0, np.float32),
        (np.uint8([[[0, 255]]]), 128.0, -16384.0, np.int16),
        (np.int16([[[0, 1]]]), 0.5, 0.0, np.float32),
        (np.float32([[[0, 1]]]), 1.0, 0.0, np.float32),
    ],
)
def test_whole_numbers_stay_whole_where_they_fit(
    values: np.ndarray, slope: float, intercept: float, dtype: type
) -> None:
    """And no value wraps around on the way: by planes as by the whole."""
    reading = Reading("header", slope, intercept)
    assert hu_dtype(values, reading) == dtype
    whole = apply_reading(values, reading)
    assert np.array_equal(whole, values.astype(np.float64) * slope + intercept)
    assert np.array_equal(apply_plane(values[0], reading, whole.dtype), whole[0])


def test_what_is_said_of_a_reading_names_its_file() -> None:
    beside = Reading("sidecar", 1.0, -1024.0, "a.json")
    assert str(beside) == "sidecar (slope 1, intercept -1024) of a.json" and beside.record()["file"] == "a.json"
    assert str(STORED) == "stored (slope 1, intercept 0)" and "file" not in STORED.record()
