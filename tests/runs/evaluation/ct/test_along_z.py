"""Steps, flicker, jitter and seams of sequences whose changes are known."""

from __future__ import annotations

import numpy as np
import pytest

from ctgrid.runs.evaluation.ct.along_z import (
    brightness_noise,
    chest_flicker,
    jitter,
    known_joints,
    ratio_or_nan,
    strongest_period,
)


def levels(values: list[float]) -> np.ndarray:
    return np.broadcast_to(np.array(values)[:, None, None], (len(values), 8, 8)).astype(np.int16)


def test_flicker_is_on_the_scale_of_a_picture() -> None:
    """A change of the whole window is 255, and what lies outside it does not count."""
    assert chest_flicker(levels([-1000, 400])) == pytest.approx(255)
    assert chest_flicker(levels([400, 1000])) == 0
    assert chest_flicker(levels([0, 140, 0])) == pytest.approx(25.5, abs=0.6)


def test_jitter_tells_noise_from_motion() -> None:
    """0 on a straight line, 2 for back and forth, √3 for independent slices; NaN where nothing moves."""
    assert jitter(levels([0, 10, 20, 30])) == 0
    assert jitter(levels([0, 10, 0, 10])) == pytest.approx(2)
    noise = np.random.default_rng(0).normal(0, 100, (40, 32, 32)).round().astype(np.int16)
    assert jitter(noise) == pytest.approx(np.sqrt(3), rel=0.01)
    assert np.isnan(jitter(levels([5, 5, 5]))) and np.isnan(jitter(levels([1, 2])))


def test_brightness_noise_is_a_standard_deviation() -> None:
    line = np.linspace(0, 500, 4000)
    noise = np.random.default_rng(0).normal(0, 7, 4000)
    assert brightness_noise(line) == pytest.approx(0, abs=1e-9)
    assert brightness_noise(line + noise) == pytest.approx(7, rel=0.05)
    assert brightness_noise(np.array([1.0, np.nan, 3.0, 5.0, 7.0])) == 0
    assert np.isnan(brightness_noise(np.array([1.0, 2.0])))


def test_a_seam_is_found_where_it_is() -> None:
    """Also on steps whose size drifts along z."""
    rng = np.random.default_rng(0)
    steps = np.linspace(20, 60, 200) * rng.uniform(0.97, 1.03, 200)
    without = strongest_period(steps)
    steps[11::12] *= 1.3
    found = strongest_period(steps)
    assert found is not None and (found.period, found.first) == (12, 11)
    assert found.ratio == pytest.approx(1.3, abs=0.03) and found.sigmas > 8
    assert without is not None and without.sigmas < 5
    assert strongest_period(np.zeros(50)) is None and strongest_period(np.ones(5)) is None


def test_joints_of_grids_and_keyframes() -> None:
    """Grids of 16 meet after slice 15; keyframes of 201 slices are 16, from end to end."""
    joints = known_joints(201)
    assert joints["grids"] == list(range(15, 200, 16))
    frames = np.linspace(0, 200, 16).round().astype(int)
    assert joints["keyframes"] == sorted({j for f in frames for j in (f - 1, f) if 0 <= j < 200})
    assert known_joints(16) == {"grids": [], "keyframes": []}
    assert np.isnan(ratio_or_nan(np.ones(5), []))
