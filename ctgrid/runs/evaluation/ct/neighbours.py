"""The nearest training slices and training grids of a volume, in feature space and by structural similarity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ctgrid.runs.evaluation.ct.described import Described
from ctgrid.runs.evaluation.ct.likeness import best_similarity, similarity
from ctgrid.runs.evaluation.ct.search import Search

GRID_SLICES = 16
"""Slices of a grid image of K = 4."""


@dataclass(frozen=True)
class Neighbours:
    """What lies nearest to the slices and grids of one volume.

    Attributes:
        distance: (n,) of each slice to the nearest training slice in feature space.
        ssim: (n,) structural similarity of the most similar of the nearest few in feature space and in pixels, moved
            in-plane to where it fits best.
        volume: (n,) number of the training volume that it was found in.
        slice: (n,) number of the slice there.
        grid_distance: (m,) of each run of slices to the nearest training run in feature space.
        grid: (first slice, training volume, first slice there) of the more alike of two: the run nearest of all in
            feature space, and the one nearest in pixels.
        grid_ssim: mean structural similarity of its slices.
        grid_slices: slices of a run, fewer than 16 where volumes are shorter.
    """

    distance: np.ndarray
    ssim: np.ndarray
    volume: np.ndarray
    slice: np.ndarray
    grid_distance: np.ndarray
    grid: tuple[int, int, int]
    grid_ssim: float
    grid_slices: int


def find_neighbours(one: Described, training: Sequence[Described]) -> Neighbours:
    """Search all training volumes for what is nearest to a volume.

    A run of slices is compared with every run of the same length in training: the root mean square of the
    distances of its slices to those there, in order.

    Args:
        one: the volume, scaled.
        training: volumes to search, scaled; at least one.
    """
    n = len(one.features)
    length = min(GRID_SLICES, n, *(len(t.features) for t in training))
    by_features, by_pixels = Search.begin(n, length), Search.begin(n, length)
    for number, volume in enumerate(training):
        by_features.look(one.features, volume.features, number, length)
        by_pixels.look(one.pixels, volume.pixels, number, length)
    candidates = np.concatenate([by_features.where, by_pixels.where], axis=1)
    there = np.concatenate([np.isfinite(by_features.near), np.isfinite(by_pixels.near)], axis=1)
    best, chosen = _most_similar(one.slices(), candidates, there, training)
    grids = []
    for search in (by_features, by_pixels):
        start = int(search.runs.argmin())
        owner, first = (int(i) for i in search.run_at[start])
        pairs = zip(one.slices()[start : start + length], training[owner].slices()[first : first + length], strict=True)
        grids.append((float(np.mean([best_similarity(a, b) for a, b in pairs])), (start, owner, first)))
    alike, grid = max(grids)
    return Neighbours(by_features.near[:, 0], best, chosen[:, 0], chosen[:, 1], by_features.runs, grid, alike, length)


def _most_similar(
    slices: np.ndarray, candidates: np.ndarray, there: np.ndarray, training: Sequence[Described]
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each slice its most similar candidate (n, 2), and how alike it is where it fits best, (n,).

    Args:
        slices: (n, s, s) HU.
        candidates: (n, c, 2) training volume and slice.
        there: (n, c) bool, whether it is one.
        training: the volumes.
    """
    pictures = {int(number): training[number].slices() for number in np.unique(candidates[there][:, 0])}
    best, chosen = np.full(len(slices), -1.0), candidates[:, 0].copy()
    for i, image in enumerate(slices):
        for volume, place in np.unique(candidates[i][there[i]], axis=0):
            value = similarity(image, pictures[int(volume)][place])
            if value > best[i]:
                best[i], chosen[i] = value, (volume, place)
        best[i] = best_similarity(image, pictures[int(chosen[i, 0])][chosen[i, 1]])
    return best, chosen
