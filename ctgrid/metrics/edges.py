"""How well edges survive: their places and their steepness."""

from __future__ import annotations

import numpy as np

from ctgrid.base.errors import CtgridError

STRONGEST = 0.05
"""Share of the reference's pixels that count as edges: those with the steepest gradients."""


def gradient_correlation(a: np.ndarray, reference: np.ndarray) -> float:
    """Return how alike two slices' gradients are: the mean correlation of their two components (Penney et al. 1998).

    Args:
        a: a slice (y, x) in HU.
        reference: what it should be, of the same shape.

    Returns:
        1 for equal gradients, 0 for unrelated ones; NaN where the reference is flat.

    Raises:
        CtgridError: where the shapes differ or are not (y, x) of two pixels or more.
    """
    pairs = zip(_gradients(a, reference), _gradients(reference, a), strict=True)
    values = [_correlation(x, y) for x, y in pairs]
    return float(np.mean(values))


def edge_gain(a: np.ndarray, reference: np.ndarray) -> float:
    """Return how steep edges are beside those of the reference: 1 keeps them, less is blur.

    The slope of the gradients of ``a`` against those of the reference, least squares over the reference's
    steepest pixels. Noise that is unrelated to the edges does not change it.

    Args:
        a: a slice (y, x) in HU.
        reference: what it should be, of the same shape.

    Returns:
        The slope; NaN where the reference is flat.

    Raises:
        CtgridError: as :func:`gradient_correlation`.
    """
    found, wanted = np.stack(_gradients(a, reference)), np.stack(_gradients(reference, a))
    steepness = (wanted**2).sum(axis=0)
    edges = steepness >= max(float(np.quantile(steepness, 1 - STRONGEST)), np.finfo(np.float64).tiny)
    power = float((wanted[:, edges] ** 2).sum())
    return float((found * wanted)[:, edges].sum() / power) if power > 0 else float("nan")


def _gradients(image: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return central differences along y and x."""
    image = np.asarray(image, np.float64)
    if image.shape != np.shape(other) or image.ndim != 2 or min(image.shape) < 2:
        raise CtgridError(f"edges are compared in two slices (y, x) of one shape, got {image.shape}, {np.shape(other)}")
    dy, dx = np.gradient(image)
    return dy, dx


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / norm) if norm > 0 else float("nan")
