"""Phantoms: the same person on every grid, HU where they belong, and persons that differ."""

from __future__ import annotations

import numpy as np
import pytest

from ctgrid.base.draws import generator_for
from ctgrid.base.errors import CtgridError
from ctgrid.data.simulate import phantom
from ctgrid.data.simulate.phantom import phantom_slice
from ctgrid.data.simulate.texture import Field
from ctgrid.data.simulate.trees import grow_tree
from ctgrid.data.simulate.tubes import Grid, Tubes
from ctgrid.scan.ct import require_ct
from ctgrid.scan.volume import Volume

SHAPE = (34, 96, 96)


def test_it_is_a_chest_ct_in_lps(person: tuple[Volume, Volume]) -> None:
    volume = person[0]
    require_ct(volume)
    assert volume.shape == SHAPE and volume.orientation == "LPS" and volume.hu.dtype == np.int16
    np.testing.assert_allclose(volume.spacing_mm, (301.5 / 34, 400 / 96, 400 / 96))
    assert volume.hu.min() >= -1010 and 300 < volume.hu.max() < 1500


def test_the_same_seed_is_the_same_person_on_any_grid(person: tuple[Volume, Volume]) -> None:
    volume = person[0]
    again = phantom(3, SHAPE)
    assert np.array_equal(again.hu, volume.hu)
    np.testing.assert_array_equal(phantom_slice(3, 20, SHAPE, volume.spacing_mm, 0.0), volume.hu[20])
    fine = phantom_slice(3, 0, (1, 192, 192), (8.0, 2.0, 2.0), 0.0).astype(float)
    coarse = phantom_slice(3, 0, (1, 96, 96), (8.0, 4.0, 4.0), 0.0)
    difference = fine.reshape(96, 2, 96, 2).mean((1, 3)) - coarse
    assert np.abs(difference).mean() < 20 and abs(difference.mean()) < 6


def test_persons_differ() -> None:
    slices = [phantom(seed, (1, 64, 64), (5.0, 6.0, 6.0)).hu.astype(float) for seed in (0, 1)]
    assert np.abs(slices[0] - slices[1]).mean() > 20


def test_noise_is_added_on_request(person: tuple[Volume, Volume]) -> None:
    plain, noisy = (phantom(4, (2, 48, 48), noise_hu=noise).hu.astype(float) for noise in (0, 25))
    assert (noisy - plain).std() == pytest.approx(25, rel=0.05)
    assert not np.array_equal(noisy[0] - plain[0], noisy[1] - plain[1])


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 7, 5), (2, 40, 33)])
def test_any_shape_can_be_asked_for(shape: tuple[int, int, int]) -> None:
    assert phantom(0, shape).shape == shape


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"seed": -1}, "0 or more"),
        ({"seed": 0, "shape": (0, 4, 4)}, "2\\^31 voxels"),
        ({"seed": 0, "shape": (10**5, 10**4, 10**4)}, "2\\^31 voxels"),
        ({"seed": 0, "shape": (2, 8, 8), "spacing_mm": (0, 1, 1)}, "spacing"),
        ({"seed": 0, "shape": (2, 8, 8), "noise_hu": float("nan")}, "noise"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict, words: str) -> None:
    with pytest.raises(CtgridError, match=words):
        phantom(**arguments)


def test_a_tube_fills_its_section() -> None:
    c = (np.arange(80, dtype=np.float32) - 39.5) * 0.5
    grid = Grid(c, c, 0.0, 0.5, 0.5, 0.5)
    straight = Tubes.polyline(np.array([[1, -2, -30.0], [1, -2, 30.0]]), np.array([6.0, 6.0]))
    assert float(straight.cover(grid).sum()) * 0.25 == pytest.approx(np.pi * 36, rel=0.01)
    thin = Tubes.polyline(np.array([[1, -2, -30.0], [1, -2, 30.0]]), np.array([0.2, 0.2]))
    assert float(thin.cover(grid).sum()) * 0.25 == pytest.approx(np.pi * 0.04, rel=0.6)
    assert straight.distance(grid, 9.0)[39, 39] == pytest.approx(np.hypot(1.25, 1.75) - 6, abs=0.3)
    assert not Tubes.polyline(np.array([[0, 0, 20.0], [0, 0, 30.0]]), np.array([3.0, 3.0])).cover(grid).any()


def test_trees_reach_their_targets_and_thin_out() -> None:
    targets = np.random.default_rng(0).uniform(-40, 40, (60, 3))
    targets += [60, 0, 0]
    tree = grow_tree(np.zeros(3), targets, tip_mm=0.5)
    ends = tree.ends.reshape(-1, 3)
    assert np.linalg.norm(ends[None] - targets[:, None], axis=-1).min(1).max() < 1e-3
    assert tree.radii.max() > 3 * tree.radii.min() and tree.radii.min() == pytest.approx(0.5, abs=1e-6)


def test_fields_are_smooth_with_unit_spread() -> None:
    field = Field.draw(generator_for(1), 10.0, (0.0, 0.0, 0.0))
    x = np.arange(-200, 200, 1.0, np.float32)
    planes = np.stack([field.plane(float(z), x, x) for z in range(-200, 200, 40)])
    assert planes.std() == pytest.approx(1, rel=0.1) and abs(planes.mean()) < 0.1
    assert np.abs(np.diff(planes, axis=-1)).max() < 0.8
    finer = field.plane(0.0, x, np.arange(-200, 200, 0.5, np.float32))
    np.testing.assert_allclose(finer[:, ::2], field.plane(0.0, x, x), atol=1e-5)
