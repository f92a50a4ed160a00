"""What a record says of a whole series: what is common, and what differs with how many slices say it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ctgrid import CtgridError
from ctgrid.scan.formats.dicom.facts import note_of, one_position
from ctgrid.scan.formats.open import read_stored

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def hu() -> np.ndarray:
    return np.random.default_rng(8).integers(-1000, 1000, (12, 5, 7)).astype(np.int16)


def test_what_differs_is_noted_whole(make_series: Make, hu: np.ndarray, tmp_path: Path) -> None:
    details = read_stored(
        make_series(tmp_path, hu, ConvolutionKernel=["B30f"] * 7 + ["B70f"] * 5, KVP=120, SliceThickness=[1.0] * 12)
    ).details
    assert details["varies"] == {"kernel": {"B30f": 7, "B70f": 5}}
    assert details["kernel"] == "B30f | B70f" and (details["kvp"], details["slice_thickness_mm"]) == ("120.0", 1.0)
    assert details["notes"] == ["differs between slices: kernel (B30f: 7 slices, B70f: 5 slices)"]


def test_two_ways_to_lie_are_refused(make_series: Make, hu: np.ndarray, tmp_path: Path) -> None:
    make_series(tmp_path, hu, PatientPosition=["HFS"] * 7 + ["FFS"] * 5)
    with pytest.raises(CtgridError, match="PatientPosition is mixed, HFS: 7 slices, FFS: 5 slices"):
        read_stored(tmp_path)


def test_few_are_named_and_the_rest_counted() -> None:
    vary = {"slice_thickness_mm": {str(n): 10 - n for n in range(6)}, "kernel": {"a": 1, "b": 2}}
    assert note_of(vary) == (
        "differs between slices: slice thickness mm (0: 10 slices, 1: 9 slices, 2: 8 slices, 3: 7 slices and 2 more); "
        "kernel (b: 2 slices, a: 1 slices)"
    )
    assert note_of({}) is None
    one_position(vary, "x")
    with pytest.raises(CtgridError, match=r"x: PatientPosition is mixed, FFS: 2 slices, HFS: 1 slices; split"):
        one_position({"patient_position": {"HFS": 1, "FFS": 2}}, "x")
