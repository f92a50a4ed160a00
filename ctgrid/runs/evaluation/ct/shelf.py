"""Reading volumes one at a time and keeping of each what the search for neighbours needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctgrid.base.progress import Progress
from ctgrid.runs.evaluation.ct.described import Described, small_pictures
from ctgrid.runs.evaluation.ct.field import in_field
from ctgrid.runs.evaluation.ct.neighbours import Neighbours, find_neighbours
from ctgrid.runs.evaluation.ct.thumbnails import Features

if TYPE_CHECKING:
    from ctgrid.runs.evaluation.samples import Sample


@dataclass
class Steps:
    """Counts what is done and tells it."""

    progress: Progress
    total: int
    done: int = 0

    def tick(self, phase: str) -> None:
        """Count one step."""
        self.done += 1
        self.progress(phase, self.done, self.total)


@dataclass
class Shelf:
    """Where shrunk volumes lie while neighbours are searched.

    Attributes:
        folder: a temporary one.
        features: describes shrunk slices.
        steps: told of every volume.
    """

    folder: Path
    features: Features
    steps: Steps
    count: int = 0

    def describe(self, sample: Sample) -> Described:
        """Read one volume, keep its slices in the common field, small, on disk, and its features."""
        small = in_field(sample.load())
        self.count += 1
        path = self.folder / f"{self.count}.npy"
        np.save(path, small)
        described = np.asarray(self.features(small), np.float64)
        self.steps.tick("describing volumes")
        return Described(sample.name, described, small_pictures(small), path)

    def searched(self, one: Described, training: Sequence[Described]) -> Neighbours:
        """Return a volume's neighbours."""
        found = find_neighbours(one, training)
        self.steps.tick("searching neighbours")
        return found
