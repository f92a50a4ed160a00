"""One volume measured: every figure of the right slices, in plain numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.ct.profile import Profile, profile
from ctgrid.runs.evaluation.samples import Slices

SPACING = (10.0, 6.0, 6.0)


@pytest.fixture(scope="module")
def measured(patient: Callable[..., np.ndarray]) -> tuple[np.ndarray, Profile]:
    hu = patient(3)
    return hu, profile("p", Slices(hu, SPACING))


def test_figures_by_hand(measured: tuple[np.ndarray, Profile]) -> None:
    hu, found = measured
    assert (found.name, found.slices, found.extent_mm) == ("p", 20, 200.0)
    steps = np.abs(np.diff(hu.astype(float), axis=0)).mean((1, 2))
    np.testing.assert_allclose(found.steps, steps, rtol=1e-5)
    assert found.figures["step_hu"] == pytest.approx(steps.mean(), rel=1e-5)
    assert found.histogram.shape == (2001,) and found.histogram.sum() == pytest.approx(1)
    assert found.histogram[1000 - 1000] == pytest.approx((hu == -1000).mean())
    assert 50 < found.figures["body_cm2"] < 1500 and 0.3 < found.figures["lung_litres"] < 10
    assert found.body_mm2.shape == found.lung_mm2.shape == found.bone_percent.shape == (50,)
    assert len(found.features) == 20 and np.isfinite(found.features).all()


def test_values_beyond_the_window_do_not_count(measured: tuple[np.ndarray, Profile]) -> None:
    hu, found = measured
    wild = np.where(hu == -1000, np.int16(-3024), hu)
    again = profile("p", Slices(wild, SPACING))
    np.testing.assert_array_equal(again.steps, found.steps)
    assert again.figures == pytest.approx(found.figures, nan_ok=True)


def test_features_may_be_others(measured: tuple[np.ndarray, Profile]) -> None:
    """Of the slices as they are."""
    hu, _ = measured
    given: list[np.ndarray] = []
    found = profile("p", Slices(hu, SPACING), lambda slices: given.append(slices) or slices[:, 0, :3])  # type: ignore[func-returns-value]
    assert given[0].shape == hu.shape and np.array_equal(found.features, np.clip(hu, -1000, 1000)[:, 0, :3])


def test_nothing_but_air_has_no_body_and_fails_nowhere() -> None:
    found = profile("air", Slices(np.full((3, 32, 32), -1000, np.int16), SPACING))
    assert found.figures["step_hu"] == 0 and not found.body_mm2.any() and not found.bone_percent.any()
    assert not found.body_histogram.any()
    with pytest.raises(CtgridError, match="flat: measures along z need at least two slices, got 1"):
        profile("flat", Slices(np.full((1, 32, 32), -1000, np.int16), SPACING))
