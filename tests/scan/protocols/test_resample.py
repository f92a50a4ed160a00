"""HU to [-1, 1] and back; resampling along z as PyTorch does it, slice by slice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from ctgrid.scan.protocols.resample import (
    denormalise,
    linear_taps,
    normalise,
    resample_z,
    resize_plane,
    stream_z,
    unit_of,
)


@pytest.mark.parametrize("n_in", [1, 2, 7, 100, 107, 333, 600])
@pytest.mark.parametrize("n_out", [1, 50, 201])
def test_z_resampling_equals_pytorch(n_in: int, n_out: int) -> None:
    slices = np.random.default_rng(0).uniform(-1, 1, (n_in, 3, 2)).astype(np.float32)
    columns = torch.from_numpy(slices.reshape(n_in, 6).T.copy())[None]
    expected = interpolate(columns, size=n_out, mode="linear", align_corners=False)[0].numpy().T
    np.testing.assert_allclose(resample_z(slices, n_out).reshape(n_out, 6), expected, atol=2e-7, rtol=0)
    low, high, weight = linear_taps(n_in, n_out)
    assert low.min() >= 0
    assert high.max() < n_in
    assert weight.min() >= 0
    assert weight.max() < 1


def test_hu_and_units_are_inverse_within_the_window() -> None:
    hu = np.array([-1000, -999, 0, 1, 1000], np.int16)
    unit = normalise(hu)
    assert unit.dtype == np.float32 and unit.tolist() == pytest.approx([-1, -0.999, 0, 0.001, 1])
    np.testing.assert_allclose(denormalise(unit), hu, atol=1e-4)
    assert normalise(np.array([-3024, 3071])).tolist() == [-1, 1]
    assert denormalise(np.array([-1.5, 2.0])).tolist() == [-1000, 1000]
    np.testing.assert_array_equal(unit_of(hu), unit)
    assert unit_of(unit) is unit, "floating values are in [-1, 1] already"


def test_few_slices_are_held_and_each_is_made_once_and_in_order() -> None:
    made: list[int] = []

    def plane(index: int) -> np.ndarray:
        made.append(index)
        return np.full((2, 2), float(index), np.float32)

    assert [float(out[0, 0]) for out in stream_z(plane, 9, 3)] == [1.0, 4.0, 7.0] and made == [1, 4, 7]
    made.clear()
    found = [float(out[0, 0]) for out in stream_z(plane, 4, 6)]
    np.testing.assert_allclose(found, [0, 0.5, 7 / 6, 11 / 6, 2.5, 3], atol=1e-6)
    assert made == [0, 1, 2, 3]


def test_the_same_number_is_the_same_array() -> None:
    slices = np.random.default_rng(0).standard_normal((4, 3, 3)).astype(np.float32)
    assert resample_z(slices, 4) is slices and resize_plane(slices, 3, 3) is slices


def test_planes_shrink_without_aliases_and_keep_their_mean() -> None:
    stripes = np.tile(np.array([1.0, -1.0], np.float32), (1, 16, 8))
    assert np.abs(resize_plane(stripes, 4, 4)).max() < 0.1
    ramp = np.linspace(-1, 1, 16, dtype=np.float32)[None, :, None] * np.ones((1, 1, 16), np.float32)
    shrunk = resize_plane(ramp, 4, 8)
    assert (
        shrunk.shape == (1, 4, 8) and shrunk.dtype == np.float32 and float(shrunk.mean()) == pytest.approx(0, abs=1e-6)
    )
    np.testing.assert_allclose(np.diff(shrunk[0, 1:3, 0]), 8 / 15, rtol=0.05)
