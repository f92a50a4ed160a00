"""Areas of body and lungs, shrinking, and the frame of thumbnails."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.ct.anatomy import curve, curve_distance, find_anatomy
from ctgrid.runs.evaluation.ct.shrunk import clipped, enlarged, shrink_factor, shrunk
from ctgrid.runs.evaluation.ct.thumbnails import thumbnails


def disc(side: int, radius: float, value: int, background: int = -1000) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.where(x**2 + y**2 < radius**2, value, background)


def test_areas_are_in_mm2() -> None:
    """A disc of 40 pixels of 2 mm with a lung of 15; shrunk or not."""
    plane = disc(128, 40, 40)
    plane[disc(128, 15, 1, 0) == 1] = -800
    hu = np.repeat(plane[None], 3, axis=0).astype(np.int16)
    for small in (hu.astype(np.float32), shrunk(hu, 64)):
        found = find_anatomy(small, 128, (5.0, 2.0, 2.0))
        assert found.body_mm2 == pytest.approx(np.full(3, np.pi * 80**2), rel=0.02)
        assert found.lung_mm2 == pytest.approx(np.full(3, np.pi * 30**2), rel=0.05)
        assert found.lung_litres == pytest.approx(np.pi * 30**2 * 15 / 1e6, rel=0.05)
        assert found.body_hu == pytest.approx(np.full(3, 40 - 840 * (15 / 40) ** 2), abs=12)


def test_air_has_no_body() -> None:
    found = find_anatomy(np.full((2, 16, 16), -1000, np.float32), 16, (1.0, 1.0, 1.0))
    assert not found.body_mm2.any() and np.isnan(found.body_hu).all()


def test_curves_do_not_depend_on_the_number_of_slices() -> None:
    fine, coarse = (curve(((np.arange(n) + 0.5) / n) * 100) for n in (200, 40))
    assert np.abs(fine - coarse)[2:-2].max() < 1e-9
    assert curve_distance([fine, fine + 2], [fine + 5]) == pytest.approx(4)


def test_shrinking_takes_means_of_whole_blocks() -> None:
    """Blocks at the end are filled up with their edge; what they were made of is found again."""
    hu = np.arange(2 * 9 * 9).reshape(2, 9, 9)
    small = shrunk(hu, 4)
    assert small.shape == (2, 5, 5) and small[0, 0, 0] == np.mean([0, 1, 9, 10])
    assert small[1, 4, 4] == hu[1, 8, 8] and small[0, 0, 4] == np.mean([8, 17])
    assert [shrink_factor(side) for side in (512, 521, 300, 128, 64)] == [4, 4, 2, 1, 1]
    mask = np.zeros((5, 5), bool)
    mask[4, 1] = True
    assert np.argwhere(enlarged(mask, 9)).tolist() == [[8, 2], [8, 3]]
    with pytest.raises(CtgridError, match="slices"):
        clipped(np.zeros((0, 4, 4)))
    assert clipped(np.array([[[-2000.0, 1500.4]]])).tolist() == [[[-1000, 1000]]]


def test_thumbnails_do_not_see_where_the_body_lies(patient: Callable[..., np.ndarray]) -> None:
    """A chest moved in air looks the same; another height does not."""
    hu = patient(1, n=12)
    wide = np.pad(hu, ((0, 0), (30, 10), (5, 35)), constant_values=-1000)
    here, there = thumbnails(hu), thumbnails(wide)
    assert here.shape == (12, 256) and here.min() >= 0 and here.max() <= 1
    assert np.abs(here - there).max() < 1e-6
    assert np.abs(here[0] - here[-2]).mean() > 0.05
    assert thumbnails(np.full((2, 32, 32), -1000, np.int16)).tolist() == np.zeros((2, 256)).tolist()
