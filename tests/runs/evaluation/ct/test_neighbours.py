"""Nearest slices and runs: as a plain search finds them, and as they were planted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ctgrid.runs.evaluation.ct.described import Described, Scaling, small_pictures
from ctgrid.runs.evaluation.ct.neighbours import find_neighbours
from ctgrid.runs.evaluation.ct.search import Search, run_distances, squared_distances


@pytest.fixture
def describe(tmp_path: Path) -> Callable[..., Described]:
    """Return a maker of described volumes; their features are small pictures where none are given."""

    def make(name: str, hu: np.ndarray, features: np.ndarray | None = None) -> Described:
        np.save(tmp_path / f"{name}.npy", hu)
        pictures = small_pictures(hu)
        return Described(name, pictures if features is None else features, pictures, tmp_path / f"{name}.npy")

    return make


def test_distances_are_those_of_a_plain_search() -> None:
    """Slices one by one, and runs in order."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((9, 5)), rng.standard_normal((7, 5))
    squared = squared_distances(a, b)
    assert squared == pytest.approx(np.array([[((x - y) ** 2).sum() for y in b] for x in a]))
    runs = run_distances(squared, 3)
    assert runs.shape == (7, 5)
    wanted = np.sqrt(np.mean([((a[4 + t] - b[2 + t]) ** 2).sum() for t in range(3)]))
    assert runs[4, 2] == pytest.approx(wanted)
    search = Search.begin(9, 3)
    search.look(a, b[:4], 0, 3)
    search.look(a, b[4:], 1, 3)
    for i in range(9):
        order = np.argsort(squared[i])[:3]
        assert search.near[i] == pytest.approx(np.sqrt(squared[i, order]))
        assert [4 * v + z for v, z in search.where[i]] == order.tolist()


def test_a_planted_run_is_found(patient: Callable[..., np.ndarray], describe: Callable[..., Described]) -> None:
    """Slices 3 to 18 of the second training volume, at places 2 to 17 of another patient."""
    training = [describe(f"t{i}", patient(i)) for i in range(3)]
    hu = patient(50)
    hu[2:18] = training[1].slices()[3:19]
    found = find_neighbours(describe("fake", hu), training)
    assert found.grid == (2, 1, 3) and found.grid_ssim == pytest.approx(1) and found.grid_slices == 16
    assert found.ssim[2:18] == pytest.approx(np.ones(16)) and found.volume[2:18].tolist() == [1] * 16
    assert found.slice[2:18].tolist() == list(range(3, 19))
    assert found.distance[2:18].max() < 1e-6 < found.distance[[0, 1, 18, 19]].min()
    assert found.grid_distance.argmin() == 2 and max(found.ssim[[0, 1, 18, 19]]) < 0.9


def test_features_that_see_nothing_do_not_hide_a_copy(
    patient: Callable[..., np.ndarray], describe: Callable[..., Described]
) -> None:
    """Pixels find it all the same."""
    blind = np.random.default_rng(0).standard_normal((3, 20, 4))
    training = [describe(f"t{i}", patient(i), blind[i]) for i in range(2)]
    found = find_neighbours(describe("fake", patient(1), blind[2]), training)
    assert found.ssim == pytest.approx(np.ones(20)) and found.distance.min() > 0.1
    start, owner, first = found.grid
    assert (owner, first) == (1, start) and found.grid_ssim == pytest.approx(1)


def test_short_volumes_shorten_the_run(patient: Callable[..., np.ndarray], describe: Callable[..., Described]) -> None:
    training = [describe("short", patient(0, n=6)), describe("one", patient(1, n=1))]
    found = find_neighbours(describe("fake", patient(2, n=4)), training)
    assert found.grid_slices == 1 and found.grid_distance.shape == (4,) and np.isfinite(found.distance).all()


def test_scaling_weighs_features_alike(describe: Callable[..., Described]) -> None:
    """By training's spread, whatever their units; one that hardly varies is not blown up."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((4000, 3)) * [1, 2, 1e-6] + [0, 50, 7]
    scaling = Scaling.of([describe("t", np.zeros((1, 8, 8), np.int16), features)])
    scaled = scaling.apply(describe("u", np.zeros((1, 8, 8), np.int16), features)).features
    assert scaled.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-9)
    assert scaled.std(axis=0) * np.sqrt(3) == pytest.approx([1, 1, 0], abs=1e-3)
