"""The nearest slices, and the nearest runs of slices in order, by any distance between rows of numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CANDIDATES = 3
"""Nearest slices that are kept for each."""


@dataclass
class Search:
    """The nearest slices and runs found so far, by one kind of distance.

    Attributes:
        near: (n, 3) distances of the nearest training slices, ascending.
        where: (n, 3, 2) training volume and slice of each.
        runs: (m,) distance of the nearest training run to each run.
        run_at: (m, 2) training volume and first slice of it.
    """

    near: np.ndarray
    where: np.ndarray
    runs: np.ndarray
    run_at: np.ndarray

    @classmethod
    def begin(cls, slices: int, length: int) -> Search:
        """Begin with nothing found."""
        runs = slices - length + 1
        near, where = np.full((slices, CANDIDATES), np.inf), np.zeros((slices, CANDIDATES, 2), int)
        return cls(near, where, np.full(runs, np.inf), np.zeros((runs, 2), int))

    def look(self, a: np.ndarray, b: np.ndarray, number: int, length: int) -> None:
        """Look at one training volume.

        Args:
            a: (n, d) of the volume that neighbours are searched for.
            b: (m, d) of the training volume.
            number: of the training volume.
            length: slices of a run.
        """
        squared = squared_distances(a, b)
        few = np.argsort(squared, axis=1)[:, :CANDIDATES]
        near = np.concatenate([self.near, np.sqrt(np.take_along_axis(squared, few, axis=1))], axis=1)
        where = np.concatenate([self.where, np.stack([np.full_like(few, number), few], axis=-1)], axis=1)
        order = np.argsort(near, axis=1, kind="stable")[:, :CANDIDATES]
        self.near = np.take_along_axis(near, order, axis=1)
        self.where = np.take_along_axis(where, order[..., None], axis=1)
        grids = run_distances(squared, length)
        better = grids.min(axis=1) < self.runs
        self.runs = np.where(better, grids.min(axis=1), self.runs)
        self.run_at[better, 0], self.run_at[better, 1] = number, grids.argmin(axis=1)[better]


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the squared Euclidean distances (n, m) of rows (n, d) and (m, d)."""
    squared = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.maximum(squared, 0.0))


def run_distances(squared: np.ndarray, length: int) -> np.ndarray:
    """Return distances of runs of slices: entry (i, j) is √(mean over t < length of squared[i + t, j + t]).

    Args:
        squared: (n, m), both at least ``length``.
        length: of the runs.

    Returns:
        (n - length + 1, m - length + 1).
    """
    n, m = (size - length + 1 for size in squared.shape)
    return np.sqrt(sum(squared[t : t + n, t : t + m] for t in range(length)) / length)
