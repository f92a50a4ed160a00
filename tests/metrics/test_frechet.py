"""The Fréchet distance against scipy, MONAI and closed forms, and where those fail."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.metrics import frechet_distance
from ctgrid.metrics.frechet import Moments, frechet_from_statistics


def features(n: int, d: int, seed: int, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    """Return correlated features of full rank."""
    rng = np.random.default_rng(seed)
    mix = np.eye(d) + 0.3 * rng.standard_normal((d, d)) / np.sqrt(d)
    return scale * rng.standard_normal((n, d)) @ mix + shift


def by_scipy(a: np.ndarray, b: np.ndarray, ddof: int = 1) -> float:
    A, B = np.cov(a, rowvar=False, ddof=ddof), np.cov(b, rowvar=False, ddof=ddof)
    root = scipy.linalg.sqrtm(A @ B)
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(A + B - 2 * np.real(root)))


@pytest.mark.parametrize(("n", "m", "d"), [(400, 300, 8), (900, 1100, 64), (50, 60, 40)])
@pytest.mark.parametrize("ddof", [0, 1])
def test_it_agrees_with_scipys_root_where_that_converges(n: int, m: int, d: int, ddof: int) -> None:
    a, b = features(n, d, 0), features(m, d, 1, scale=1.4, shift=0.3)
    assert frechet_distance(a, b, ddof) == pytest.approx(by_scipy(a, b, ddof), rel=1e-6)


def test_it_agrees_with_monai_on_the_same_features() -> None:
    from monai.metrics.fid import FIDMetric  # seconds of imports

    a, b = features(200, 24, 0), features(300, 24, 1, scale=0.8, shift=-0.2)
    monai = float(FIDMetric()(torch.from_numpy(a), torch.from_numpy(b)))
    assert frechet_distance(a, b) == pytest.approx(monai, rel=1e-6)


def test_one_dimension_has_a_closed_form() -> None:
    a, b = np.array([[0.0], [2.0]]), np.array([[5.0], [5.0], [11.0]])
    expected = (1 - 7) ** 2 + (np.std([0, 2], ddof=1) - np.std([5, 5, 11], ddof=1)) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)


def test_fewer_samples_than_features_keep_full_precision() -> None:
    """Rotate a problem of 6 features into 400: the distance must not notice; scipy's root is off there."""
    a, b = features(30, 6, 0), features(40, 6, 1, scale=1.5, shift=1.0)
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((400, 400)))[0][:6]
    assert frechet_distance(a @ turn, b @ turn) == pytest.approx(frechet_distance(a, b), rel=1e-7)


def test_constant_features_and_equal_sets() -> None:
    a = features(50, 5, 0)
    a[:, 2] = 7.0
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-9)
    assert frechet_distance(np.ones((5, 3)), np.full((9, 3), 2.0)) == pytest.approx(3.0, rel=1e-12)


def test_it_is_symmetric_and_takes_tensors_of_any_precision() -> None:
    a, b = features(60, 7, 0), features(50, 7, 1, shift=0.5)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-10)
    assert frechet_distance(torch.from_numpy(a).float().requires_grad_(), b) == pytest.approx(
        frechet_distance(a, b), rel=1e-5
    )


def test_scale_and_large_means_do_not_spoil_it() -> None:
    a, b = features(300, 10, 0), features(300, 10, 1, scale=1.2)
    assert frechet_distance(1e-4 * a, 1e-4 * b) == pytest.approx(1e-8 * frechet_distance(a, b), rel=1e-9)
    assert frechet_distance(a + 1e6, b + 1e6) == pytest.approx(frechet_distance(a, b), rel=1e-6)


def test_moments_in_parts_are_those_of_the_whole() -> None:
    a = features(101, 6, 0) + 1e5
    whole, parts = Moments.of(a), Moments.of(a[:1]) + Moments.of(a[1:60]) + Moments.of(a[60:])
    assert parts.count == 101
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-14)
    np.testing.assert_allclose(parts.covariance(), np.cov(a, rowvar=False), rtol=1e-9)
    np.testing.assert_allclose(parts.covariance(0), np.cov(a, rowvar=False, ddof=0), rtol=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "match"),
    [
        (np.zeros((4, 3)), np.zeros((4, 2)), "3 features for each sample, b has 2"),
        (np.zeros(4), np.zeros((4, 1)), r"a: features must have shape \(n, d\)"),
        (np.zeros((4, 1)), np.zeros((0, 1)), r"b: features must have shape \(n, d\)"),
        (np.zeros((1, 3)), np.zeros((4, 3)), r"a has 1 sample"),
        (np.array([[1.0], [np.nan]]), np.zeros((4, 1)), "1 of 2 samples hold NaN"),
        (np.array([["x"], ["y"]]), np.zeros((4, 1)), "must be numbers"),
        (np.zeros((4, 1)) * 1j, np.zeros((4, 1)), "a: features must be numbers .*complex"),
        (np.zeros((4, 1)), np.ma.masked_equal(np.zeros((4, 1)), 0), "b: features must be numbers .*masked"),
    ],
)
def test_bad_features_are_named(a: np.ndarray, b: np.ndarray, match: str) -> None:
    with pytest.raises(CtgridError, match=match):
        frechet_distance(a, b)


def test_statistics_must_fit() -> None:
    with pytest.raises(CtgridError, match="covariance"):
        frechet_from_statistics(np.zeros(3), np.eye(2), np.zeros(3), np.eye(3))
