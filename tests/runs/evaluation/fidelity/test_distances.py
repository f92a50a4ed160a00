"""From features to rows: what is said of a distance, and what it must be read with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.metrics.frechet import frechet_from_moments
from ctgrid.runs.evaluation.fidelity.distances import distance_rows
from ctgrid.runs.evaluation.fidelity.protocol import Protocol
from ctgrid.runs.evaluation.fidelity.sets import FeatureSet
from ctgrid.runs.evaluation.fidelity.statistics import Collected

ONE = FeatureSet("FVD", "KVD", 16, 1, {"file": "toy.pt", "pinned": True}, {}, {}, lambda view, role: np.empty((0, 3)))


@pytest.fixture
def small(protocol: Callable[..., Any]) -> Protocol:
    """The shipped protocol, small."""
    found: Protocol = protocol().protocol
    return found


def collected(shift: float = 0.0, volumes: int = 4, each: int = 5, short: int = 0, seed: int = 0) -> Collected:
    """Return volumes with a few features of three numbers."""
    rng, found = np.random.default_rng(seed), Collected(None, each)
    for number in range(volumes):
        found.add(rng.standard_normal((each, 3)) + shift, number < short)
    return found


def test_both_rows_tell_of_the_same_sets(small: Protocol) -> None:
    """The Fréchet distance of all samples; the kernel's with its interval; as many as there are on either side."""
    real, fake = collected(), collected(shift=2.0, volumes=3, seed=1)
    first, second = distance_rows(ONE, real, fake, small)
    assert real.moments is not None and fake.moments is not None
    assert first["value"] == frechet_from_moments(real.moments, fake.moments, small.statistics.ddof)
    assert (first["measure"], second["measure"]) == ("FVD", "KVD") and first["confidence"] is None
    low, high = second["confidence"]
    assert 0 < low < second["value"] < high
    for row in (first, second):
        assert (row["n_real"], row["n_fake"], row["volumes_real"], row["volumes_fake"]) == (20, 15, 4, 3)
        assert (row["features"], row["frames"], row["detector"]["file"]) == (3, 16, "toy.pt")


def test_further_away_is_farther(small: Protocol) -> None:
    """By both; one set is no distance from itself."""
    real = collected()
    rows = [distance_rows(ONE, real, collected(shift, seed=2), small) for shift in (0.0, 1.0, 3.0)]
    for which in (0, 1):
        values = [pair[which]["value"] for pair in rows]
        assert values == sorted(values) and values[2] > values[0] + 1
    assert distance_rows(ONE, real, real, small)[0]["value"] == pytest.approx(0, abs=1e-6)


def test_what_makes_a_distance_doubtful_is_said(small: Protocol) -> None:
    """Few samples, fewer than features, no interval, short volumes, a detector that nobody vouches for."""
    unpinned = replace(ONE, detector={"file": "toy.pt", "pinned": False})
    first, second = distance_rows(unpinned, collected(volumes=2, each=1), collected(short=2), small)
    text = " ".join(first["warnings"])
    assert "2 real samples: below" in text and "read KVD beside it" in text
    assert "2 real samples of 3 features: the covariance is singular" in text
    assert "2 fake volumes have too few slices for 16 frames" in text and "toy.pt is not pinned" in text
    assert second["confidence"] is None and "no confidence: it takes at least 3 volumes" in " ".join(second["warnings"])
    quiet = distance_rows(ONE, collected(), collected(), small)[1]["warnings"]
    assert quiet == []


@pytest.mark.parametrize("role", ["real", "fake"])
def test_one_sample_is_no_distribution(role: str, small: Protocol) -> None:
    sets = {"real": collected(), "fake": collected()} | {role: collected(volumes=1, each=1, short=1)}
    with pytest.raises(CtgridError, match=f"FVD of 16 frames needs 2 clips of {role} volumes, got 1: .*fewer --frames"):
        distance_rows(ONE, sets["real"], sets["fake"], small)
