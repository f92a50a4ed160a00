"""Whether the anatomy of a volume runs in order: heights read from the pictures, by a probe fitted on real volumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.ct.thumbnails import Features, mean_and_scale, thumbnails

if TYPE_CHECKING:
    from ctgrid.runs.evaluation.samples import Slices

PENALTIES = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
"""Ridge penalties tried, of features scaled so that the variances of all of them add up to 1."""

PENALTY = 1e-2
"""Where a single volume leaves none to try on; also the best of those above for eight chests of eight scanners."""

MOST_FOLDS = 8
"""Volumes left out in turn to choose the penalty."""


def z_consistency(reference: Sequence[Slices], volume: Slices, features: Features = thumbnails) -> dict[str, Any]:
    """Read the height of every slice of a volume from its picture, and tell whether heights run in order.

    Args:
        reference: real volumes of the same coverage, which the probe is fitted on; not the volume itself.
        volume: the volume to look at.
        features: describes slices; see :data:`Features`.

    Returns:
        What :func:`order_of` gives.

    Raises:
        CtgridError: without a reference, or with fewer than two slices.
    """
    probe = ZProbe.fit([features(real.hu) for real in reference])
    return order_of(probe.heights(features(volume.hu)), len(volume.hu) * volume.spacing_mm[0])


@dataclass(frozen=True)
class ZProbe:
    """A ridge regression from a slice's features to its relative height in the volume.

    Attributes:
        mean: (d,) of the features.
        scale: (d,) their spread.
        gram: (d + 1, d + 1) of scaled features and the constant, the mean over volumes.
        moment: (d + 1,) with relative heights, likewise.
        volumes: number of volumes fitted.
        penalty: of the weights.
    """

    mean: np.ndarray
    scale: np.ndarray
    gram: np.ndarray
    moment: np.ndarray
    volumes: int
    penalty: float

    @classmethod
    def fit(cls, volumes: Sequence[np.ndarray]) -> ZProbe:
        """Fit on the features (n, d) of volumes, each volume counting alike.

        The penalty is the one that reads left-out volumes best.

        Raises:
            CtgridError: without a volume.
        """
        if not volumes:
            raise CtgridError("reading heights needs at least one real volume")
        mean, scale = mean_and_scale(np.concatenate(volumes))
        sums = [_sums(v, mean, scale) for v in volumes]
        gram, moment = (np.mean([s[i] for s in sums], axis=0) for i in (0, 1))
        probe = cls(mean, scale, gram, moment, len(volumes), PENALTY)
        if len(volumes) < 2:
            return probe
        tried = np.unique(np.linspace(0, len(volumes) - 1, min(MOST_FOLDS, len(volumes))).astype(int))
        errors = [np.mean([probe.at(p).error_without(volumes[i]) for i in tried]) for p in PENALTIES]
        return probe.at(PENALTIES[int(np.argmin(errors))])

    def at(self, penalty: float) -> ZProbe:
        """Return the probe with another penalty."""
        return ZProbe(self.mean, self.scale, self.gram, self.moment, self.volumes, penalty)

    def heights(self, features: np.ndarray) -> np.ndarray:
        """Return relative heights (n,), 0 at the feet's end and 1 at the head's, of slices with features (n, d)."""
        return _design(features, self.mean, self.scale) @ self._weights(self.gram, self.moment)

    def heights_without(self, features: np.ndarray) -> np.ndarray:
        """Return heights of one of the fitted volumes as a probe fitted on the others reads them.

        Raises:
            CtgridError: where it is the only one.
        """
        if self.volumes < 2:
            raise CtgridError("a volume cannot be left out where it is the only one")
        gram, moment = _sums(features, self.mean, self.scale)
        rest = self.volumes - 1
        without = (self.gram * self.volumes - gram) / rest, (self.moment * self.volumes - moment) / rest
        return _design(features, self.mean, self.scale) @ self._weights(*without)

    def error_without(self, features: np.ndarray) -> float:
        """Return the mean absolute error of :meth:`heights_without`."""
        return float(np.abs(self.heights_without(features) - true_heights(len(features))).mean())

    def _weights(self, gram: np.ndarray, moment: np.ndarray) -> np.ndarray:
        ridge = np.full(len(gram), self.penalty)
        ridge[-1] = 0.0  # the constant is free
        return np.asarray(np.linalg.solve(gram + np.diag(ridge), moment))


def order_of(heights: np.ndarray, extent_mm: float) -> dict[str, Any]:
    """Tell how well heights that were read from slices follow the slices' order.

    Args:
        heights: (n,) relative heights as read.
        extent_mm: of the volume along z.

    Returns:
        ``spearman``: rank correlation with the slices' numbers, 1 in order, -1 upside down; ``discordant``: share
        of all pairs of slices that are in the wrong order; ``inversions``: neighbours that are; ``error_mm``: mean
        |height read - height|; ``wobble_mm``: the same beside the best straight line, which forgives another
        coverage; ``step_back_mm``: how far the heights fall below the highest so far.

    Raises:
        CtgridError: for fewer than two slices.
    """
    if len(heights) < 2:
        raise CtgridError(f"order needs at least two slices, got {len(heights)}")
    true = true_heights(len(heights))
    line = np.polyval(np.polyfit(true, heights, 1), true)
    order = np.sign(np.subtract.outer(heights, heights))[np.tril_indices(len(heights), -1)]
    return {
        "spearman": _rank_correlation(heights),
        "discordant": float((order < 0).mean()),
        "inversions": int((np.diff(heights) < 0).sum()),
        "error_mm": float(np.abs(heights - true).mean()) * extent_mm,
        "wobble_mm": float(np.abs(heights - line).mean()) * extent_mm,
        "step_back_mm": float((np.maximum.accumulate(heights) - heights).max()) * extent_mm,
    }


def true_heights(slices: int) -> np.ndarray:
    """Return the relative heights (n,) of slices that share out a volume's extent."""
    return (np.arange(slices) + 0.5) / slices


def _rank_correlation(heights: np.ndarray) -> float:
    from scipy.stats import rankdata

    if np.ptp(heights) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(heights), np.arange(len(heights)))[0, 1])


def _design(features: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    scaled = (np.asarray(features, np.float64) - mean) / scale / np.sqrt(len(mean))
    return np.concatenate([scaled, np.ones((len(scaled), 1))], axis=1)


def _sums(features: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = _design(features, mean, scale)
    return rows.T @ rows / len(rows), rows.T @ true_heights(len(rows)) / len(rows)
