"""The Fréchet distance between two sets of features, each taken as a Gaussian: what FID and FVD are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.metrics.numbers import as_float64

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Moments:
    """All that the Fréchet distance needs of a set of features.

    Attributes:
        count: n, samples seen.
        mean: (d,) float64.
        scatter: (d, d) float64, the sum of (x - mean)(x - mean)^T.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray | Tensor) -> Moments:
        """Return the moments of features (n, d).

        Raises:
            CtgridError: as :func:`checked_features`.
        """
        x = checked_features(features, "features")
        mean = x.mean(axis=0)
        centred = x - mean
        return cls(len(x), mean, centred.T @ centred)

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both sets together (Chan et al. 1979), without loss of precision.

        Raises:
            CtgridError: where the numbers of features differ.
        """
        if len(self.mean) != len(other.mean):
            raise CtgridError(f"features differ in number: {len(self.mean)} and {len(other.mean)} for each sample")
        count = self.count + other.count
        step = other.mean - self.mean
        mean = self.mean + step * (other.count / count)
        between = np.outer(step, step) * (self.count * other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + between)

    def covariance(self, ddof: int = 1) -> np.ndarray:
        """Return the covariance (d, d), the scatter divided by n - ddof.

        Args:
            ddof: 1 for the unbiased one (``np.cov``), 0 for that of the sample itself (StyleGAN-V).

        Raises:
            CtgridError: with too few samples.
        """
        if self.count <= ddof:
            raise CtgridError(f"a covariance needs at least {ddof + 1} samples, got {self.count}")
        return self.scatter / (self.count - ddof)


def frechet_distance(a: np.ndarray | Tensor, b: np.ndarray | Tensor, ddof: int = 1) -> float:
    """Return the squared Fréchet (2-Wasserstein) distance of two Gaussians fitted to features.

    |mu_a - mu_b|^2 + tr A + tr B - 2 tr (A^1/2 B A^1/2)^1/2   (Dowson & Landau 1982), in float64.

    Args:
        a: (n, d) features, a NumPy array or a tensor on any device; n may be less than d.
        b: (m, d) features.
        ddof: see :meth:`Moments.covariance`.

    Returns:
        A number of at least 0, in squared units of the features. With few samples it is too large: the
        estimate's bias falls as 1/n.

    Raises:
        CtgridError: other shapes, too few samples, or values that are not finite.
    """
    a, b = checked_pair(a, b)
    return frechet_from_moments(Moments.of(a), Moments.of(b), ddof)


def frechet_from_moments(a: Moments, b: Moments, ddof: int = 1) -> float:
    """As :func:`frechet_distance`, from moments that were collected before."""
    if len(a.mean) != len(b.mean):
        raise CtgridError(f"features differ in number: {len(a.mean)} and {len(b.mean)} for each sample")
    return frechet_from_statistics(a.mean, a.covariance(ddof), b.mean, b.covariance(ddof))


def frechet_from_statistics(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> float:
    """As :func:`frechet_distance`, from means (d,) and covariances (d, d).

    With A = R_a R_a^T, the eigenvalues of A^1/2 B A^1/2 are the squared singular values of R_a^T R_b, so that
    the trace of its root is their sum: no root of a product that is not symmetric, no complex numbers, and the
    rounding errors of zero eigenvalues are not magnified by a root.

    Raises:
        CtgridError: where shapes do not fit, or a value is not finite.
    """
    stats = [np.asarray(x, dtype=np.float64) for x in (mean_a, cov_a, mean_b, cov_b)]
    d = stats[0].size
    if [x.shape for x in stats] != [(d,), (d, d), (d,), (d, d)]:
        shapes = ", ".join(str(x.shape) for x in stats)
        raise CtgridError(f"statistics are mean (d,), covariance (d, d) of a, then of b; got {shapes}")
    if not all(np.isfinite(x).all() for x in stats):
        raise CtgridError("statistics hold NaN or infinite values; features beyond 1e100 cannot be squared and summed")
    mu_a, A, mu_b, B = stats
    overlap = np.linalg.svd(_root(A).T @ _root(B), compute_uv=False).sum()
    distance = np.square(mu_a - mu_b).sum() + np.trace(A) + np.trace(B) - 2 * overlap
    return max(0.0, float(distance))


def _root(covariance: np.ndarray) -> np.ndarray:
    """Return R (d, k) with R R^T = the covariance, k being its numerical rank (at least 1)."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    noise = len(values) * np.finfo(np.float64).eps * max(float(values[-1]), 0.0)
    kept = values > noise
    if not kept.any():
        return np.zeros((len(values), 1))
    return vectors[:, kept] * np.sqrt(values[kept])


def checked_pair(a: np.ndarray | Tensor, b: np.ndarray | Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return two sets of features as float64 arrays of equal width, at least two samples each.

    Raises:
        CtgridError: naming the argument, the rule and what was given.
    """
    x, y = checked_features(a, "a"), checked_features(b, "b")
    if x.shape[1] != y.shape[1]:
        raise CtgridError(f"a has {x.shape[1]} features for each sample, b has {y.shape[1]}; use one detector for both")
    for name, features in (("a", x), ("b", y)):
        if len(features) < 2:
            raise CtgridError(f"{name} has {len(features)} sample(s); a distance of distributions needs at least 2")
    return x, y


def checked_features(features: np.ndarray | Tensor | Any, name: str) -> np.ndarray:
    """Return features (n, d) as a float64 array.

    Args:
        features: an array, or a tensor on any device.
        name: what to call them in messages.

    Raises:
        CtgridError: where they are not numbers in two non-empty dimensions, or not finite.
    """
    try:
        array = as_float64(features)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CtgridError(f"{name}: features must be numbers (n, d): {error}") from error
    if array.ndim != 2 or 0 in array.shape:
        raise CtgridError(f"{name}: features must have shape (n, d), samples by features; got {array.shape}")
    bad = len(array) - int(np.isfinite(array).all(axis=1).sum())
    if bad:
        raise CtgridError(f"{name}: {bad} of {len(array)} samples hold NaN or infinite features")
    return array
