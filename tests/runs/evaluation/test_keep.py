"""One slice of every case, back as it was kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctgrid.runs.evaluation.keep import case_folder, keep_case, kept_case, kept_cases


def test_the_middle_slice_comes_back_with_its_spectrum(tmp_path: Path) -> None:
    hu = np.stack([np.full((4, 5), value, np.float32) for value in (-10.4, 20.6, 30.0)])
    spectrum = np.array([0.1, 0.2]), np.array([3.0, 4.0])
    keep_case(tmp_path, "v", "gaussian:50", "tv", np.array([4, 8, 12]), hu, spectrum)
    case = kept_case(tmp_path, "v", "gaussian:50", "tv")
    assert case is not None and case.index == 8 and case.hu.dtype == np.int16
    np.testing.assert_array_equal(case.hu, np.full((4, 5), 21))
    np.testing.assert_array_equal(case.frequency, spectrum[0])
    np.testing.assert_array_equal(case.power, spectrum[1])
    assert case_folder(tmp_path, "v", "gaussian:50").name == "gaussian-50"


def test_what_was_not_kept_is_missing(tmp_path: Path) -> None:
    keep_case(tmp_path, "v", "x4", "tv", np.array([0]), np.zeros((1, 4, 4)))
    assert kept_case(tmp_path, "v", "x4", "nlm") is None
    found = kept_cases(tmp_path, "v", "x4", ("nlm", "tv"))
    assert list(found) == ["tv"] and not len(found["tv"].frequency)
