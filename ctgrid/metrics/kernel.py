"""The kernel distance between two sets of features: unbiased squared MMD, which is what KID is, and its confidence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.metrics.frechet import checked_pair

if TYPE_CHECKING:
    from torch import Tensor

DEGREE, COEFFICIENT = 3, 1.0  # k(x, y) = (x.y / d + 1)^3, Binkowski et al. 2018
_BLOCK = 1 << 24  # kernel values held at once


@dataclass(frozen=True)
class KernelDistance:
    """A kernel distance and how well it is known.

    Attributes:
        value: the unbiased estimate; it may be below 0 where the sets are alike.
        error: its standard error by the jackknife; None where a set has fewer than 3 groups.
        confidence: value - t error, value + t error at the level asked for; None likewise.
    """

    value: float
    error: float | None = None
    confidence: tuple[float, float] | None = None


def kernel_distance(a: np.ndarray | Tensor, b: np.ndarray | Tensor) -> float:
    """Return the unbiased squared maximum mean discrepancy under k(x, y) = (x.y / d + 1)^3.

    mean of k(a, a') over pairs of different samples + the same of b - 2 mean of k(a, b); Binkowski et al. 2018,
    Gretton et al. 2012, Eq. 3. All samples are used, not subsets.

    Args:
        a: (n, d) features, a NumPy array or a tensor on any device.
        b: (m, d) features.

    Raises:
        CtgridError: other shapes, fewer than two samples, or values that are not finite.
    """
    x, y = checked_pair(a, b)
    return _finite(_Sums.of(x, y).distance())


def kernel_distance_with_confidence(
    a: np.ndarray | Tensor,
    b: np.ndarray | Tensor,
    groups_a: np.ndarray | None = None,
    groups_b: np.ndarray | None = None,
    level: float = 0.95,
) -> KernelDistance:
    """As :func:`kernel_distance`, with the delete-one-group jackknife of both sets (Arvesen 1969).

    Slices of one volume are alike, so that they must be left out together: a group is a volume. The result does
    not depend on chance, no seed is needed.

    Args:
        a: (n, d) features.
        b: (m, d) features.
        groups_a: (n,) labels of what is independent of each other; None takes every sample for itself.
        groups_b: (m,) labels.
        level: of the confidence interval, by Student's t with the groups' degrees of freedom.

    Raises:
        CtgridError: as :func:`kernel_distance`, or labels that do not fit.
    """
    x, y = checked_pair(a, b)
    labels_a, labels_b = _labels(groups_a, len(x), "groups_a"), _labels(groups_b, len(y), "groups_b")
    sums = _Sums.of(x, y, labels_a, labels_b)
    value, count_a, count_b = _finite(sums.distance()), int(labels_a.max()) + 1, int(labels_b.max()) + 1
    if min(count_a, count_b) < 3:
        return KernelDistance(value)
    variance = 0.0
    for left_out in (sums.without(True, labels_a, labels_b), sums.without(False, labels_a, labels_b)):
        if not np.isfinite(left_out).all():
            return KernelDistance(value)
        g = len(left_out)
        variance += (g - 1) / g * float(np.square(left_out - left_out.mean()).sum())
    from scipy.stats import t

    error = math.sqrt(variance)
    reach = float(t.ppf((1 + level) / 2, count_a + count_b - 2)) * error
    return KernelDistance(value, error, (value - reach, value + reach))


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise CtgridError("features are too large for the cubic kernel, whose sums overflow; scale both sets down")
    return value


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums of the kernel matrix by rows, from which every distance follows, also with groups left out.

    Attributes:
        aa: (n,) sum of k(a_i, a_j) over j other than i.
        aa_own: (n,) of that, the part where j is in i's group.
        bb: (m,) as ``aa``.
        bb_own: (m,) as ``aa_own``.
        ab: (n,) sum of k(a_i, b_j) over j.
        ba: (m,) sum of k(a_i, b_j) over i.
    """

    aa: np.ndarray
    aa_own: np.ndarray
    bb: np.ndarray
    bb_own: np.ndarray
    ab: np.ndarray
    ba: np.ndarray

    @classmethod
    def of(
        cls, x: np.ndarray, y: np.ndarray, labels_x: np.ndarray | None = None, labels_y: np.ndarray | None = None
    ) -> _Sums:
        """Go once over all pairs."""
        (aa, aa_own), (bb, bb_own) = _within(x, labels_x), _within(y, labels_y)
        ab, ba = np.zeros(len(x)), np.zeros(len(y))
        for rows, kernel in _blocks(x, y):
            ab[rows] = kernel.sum(axis=1)
            ba += kernel.sum(axis=0)
        return cls(aa, aa_own, bb, bb_own, ab, ba)

    def distance(self) -> float:
        """Return the distance of the whole sets."""
        n, m = len(self.aa), len(self.bb)
        return float(self.aa.sum() / (n * (n - 1)) + self.bb.sum() / (m * (m - 1)) - 2 * self.ab.sum() / (n * m))

    def without(self, first: bool, labels_a: np.ndarray, labels_b: np.ndarray) -> np.ndarray:
        """Return the distances with each group of one set left out; NaN where fewer than 2 samples stay."""
        own, other = (self.aa, self.bb) if first else (self.bb, self.aa)
        within, across = (self.aa_own, self.ab) if first else (self.bb_own, self.ba)
        labels = labels_a if first else labels_b
        n, m = len(own), len(other)
        sizes = np.bincount(labels)
        pairs = own.sum() - 2 * np.bincount(labels, own) + np.bincount(labels, within)
        left = (n - sizes).astype(np.float64)
        left[left < 2] = np.nan
        mean_across = (across.sum() - np.bincount(labels, across)) / (left * m)
        return np.asarray(pairs / (left * (left - 1)) + other.sum() / (m * (m - 1)) - 2 * mean_across)


def _within(x: np.ndarray, labels: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows' sums without the diagonal, and of them the part within the row's group."""
    total, own = np.zeros(len(x)), np.zeros(len(x))
    for rows, kernel in _blocks(x, x):
        place = np.arange(rows.start, rows.stop)
        kernel[place - rows.start, place] = 0.0
        total[rows] = kernel.sum(axis=1)
        if labels is not None:
            own[rows] = (kernel * (labels[rows, None] == labels[None])).sum(axis=1)
    return total, own


def _blocks(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the kernel matrix (n, m) in blocks of rows."""
    step = max(1, _BLOCK // len(y))
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        yield rows, (x[rows] @ y.T / x.shape[1] + COEFFICIENT) ** DEGREE


def _labels(groups: np.ndarray | None, count: int, name: str) -> np.ndarray:
    """Return groups as numbers 0, 1, 2 ..."""
    if groups is None:
        return np.arange(count)
    groups = np.asarray(groups)
    if groups.shape != (count,):
        raise CtgridError(f"{name} must have one label for each of {count} samples, got shape {groups.shape}")
    return np.unique(groups, return_inverse=True)[1]
