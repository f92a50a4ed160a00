"""Figures of detail on volumes whose answers are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctgrid.runs.evaluation.ct.chest_frame import ChestFrame
from ctgrid.runs.evaluation.ct.detail import area_change, lung_detail_hu, steps_hu, streaks

SHAPE = (31, 64, 64)


def framed(hu: np.ndarray, spacing_mm: float = 1.5, extent_mm: float = 300.0) -> ChestFrame:
    """Return a frame that is body throughout."""
    body = np.ones(hu.shape, bool)
    return ChestFrame(hu.astype(np.float32), body, hu < -500, 1.5, extent_mm, spacing_mm)


def test_steps_have_the_height_of_the_edges() -> None:
    """Planks of 200 HU along rows, each a tenth of the row; slabs of 90 HU along z."""
    hu = np.zeros(SHAPE)
    hu += 200 * (np.arange(64) // 8 % 2)
    hu += 90 * (np.arange(31) // 4 % 2)[:, None, None]
    across, along = steps_hu(framed(hu))
    assert across == pytest.approx(200) and along == pytest.approx(90)


def test_skin_and_thick_slices_do_not_count() -> None:
    hu = np.zeros(SHAPE)
    hu[:, :, :3] = 900  # within four pixels of the border
    assert steps_hu(framed(hu))[0] == 0
    assert np.isnan(steps_hu(framed(hu, spacing_mm=5.0))[1]) and np.isnan(streaks(framed(hu, spacing_mm=5.0)))


def test_streaks() -> None:
    """One pattern in all slices keeps everything, noise of its own a ninth; half and half what lies between."""
    rng = np.random.default_rng(0)
    printed, own = np.broadcast_to(rng.normal(0, 10, SHAPE[1:]), SHAPE), rng.normal(0, 10, SHAPE)
    assert streaks(framed(printed)) == pytest.approx(1, abs=1e-4)
    assert streaks(framed(own)) == pytest.approx(1 / 9, rel=0.05)
    assert streaks(framed((printed + own) / np.sqrt(2))) == pytest.approx(5 / 9, rel=0.05)


def test_lung_detail_is_what_a_gaussian_takes_away() -> None:
    """Noise keeps its spread, less what a Gaussian of 4 pixels leaves: 1 / (4 pi 16) of its power."""
    hu = np.full(SHAPE, 40.0)
    noise = np.random.default_rng(2).normal(0, 30, SHAPE)
    hu[:] = -850 + noise
    assert lung_detail_hu(framed(hu)) == pytest.approx(30, rel=0.03)
    blurred = -850 + gaussian_filter(noise, (0, 2, 2))
    assert lung_detail_hu(framed(blurred)) < 5
    assert np.isnan(lung_detail_hu(framed(np.zeros(SHAPE))))


def test_area_change_is_a_share_of_the_area() -> None:
    """A body that grows by one of 40 rows in every slice and then stays: most steps are 0, the highest count."""
    frame = framed(np.zeros(SHAPE))
    body = np.zeros(SHAPE, bool)
    for z in range(len(body)):
        body[z, : 20 + z] = True
    found = area_change(replace(frame, body=body))
    assert found == pytest.approx(1 / 35)
    assert np.isnan(area_change(replace(frame, body=body, extent_mm=100.0)))
