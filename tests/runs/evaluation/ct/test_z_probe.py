"""Heights read from pictures: in order, upside down, shuffled, repeated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.ct import z_consistency
from ctgrid.runs.evaluation.ct.thumbnails import thumbnails
from ctgrid.runs.evaluation.ct.z_probe import ZProbe, order_of, true_heights
from ctgrid.runs.evaluation.samples import Slices

SPACING = (10.0, 6.0, 6.0)


@pytest.fixture(scope="module")
def reference(patient: Callable[..., np.ndarray]) -> list[Slices]:
    return [Slices(patient(seed), SPACING) for seed in range(5)]


@pytest.fixture(scope="module")
def probe(reference: list[Slices]) -> ZProbe:
    return ZProbe.fit([thumbnails(one.hu) for one in reference])


def test_another_patient_runs_in_order(reference: list[Slices], patient: Callable[..., np.ndarray]) -> None:
    """And upside down, all pairs are the wrong way round; shuffled, half of them."""
    hu = patient(99)
    upright = z_consistency(reference, Slices(hu, SPACING))
    assert upright["spearman"] > 0.95 and upright["discordant"] < 0.08 and upright["error_mm"] < 25
    flipped = z_consistency(reference, Slices(hu[::-1], SPACING))
    assert flipped["spearman"] == pytest.approx(-upright["spearman"])
    assert flipped["error_mm"] > 3 * upright["error_mm"]
    mixed = z_consistency(reference, Slices(hu[np.random.default_rng(0).permutation(len(hu))], SPACING))
    assert abs(mixed["spearman"]) < 0.5 and mixed["step_back_mm"] > 100


def test_anatomy_that_comes_twice_is_a_step_back(probe: ZProbe, patient: Callable[..., np.ndarray]) -> None:
    """Slices 8 to 15, then 8 to 15 again: some 70 mm."""
    features = thumbnails(patient(99))
    twice = order_of(probe.heights(features[[*range(16), *range(8, 20)]]), 280.0)
    once = order_of(probe.heights(features), 200.0)
    assert twice["step_back_mm"] > once["step_back_mm"] + 35
    assert twice["discordant"] > once["discordant"] + 0.03


def test_figures_of_known_heights() -> None:
    """In order, two neighbours swapped, and another coverage."""
    true = true_heights(10)
    assert order_of(true, 100.0) == pytest.approx(
        {"spearman": 1, "discordant": 0, "inversions": 0, "error_mm": 0, "wobble_mm": 0, "step_back_mm": 0}, abs=1e-9
    )
    swapped = true.copy()
    swapped[[3, 4]] = swapped[[4, 3]]
    found = order_of(swapped, 100.0)
    assert found["inversions"] == 1 and found["discordant"] == pytest.approx(1 / 45)
    assert found["error_mm"] == pytest.approx(2) and found["step_back_mm"] == pytest.approx(10)
    half = order_of(true / 2, 100.0)
    assert half["error_mm"] == pytest.approx(25) and half["wobble_mm"] == pytest.approx(0, abs=1e-9)
    assert order_of(np.full(5, 0.5), 50.0)["spearman"] == 0


def test_a_left_out_volume_is_read_as_by_a_probe_without_it(reference: list[Slices]) -> None:
    features = [thumbnails(one.hu) for one in reference]
    probe = ZProbe.fit(features)
    others = ZProbe.fit(features[1:]).at(probe.penalty)
    without, wanted = probe.heights_without(features[0]), others.heights(features[0])
    assert np.abs(without - wanted).mean() < 0.25 * np.abs(probe.heights(features[0]) - wanted).mean()
    assert np.abs(probe.heights(features[0]) - true_heights(20)).mean() < probe.error_without(features[0])


def test_too_little_is_refused(reference: list[Slices]) -> None:
    with pytest.raises(CtgridError, match="at least one real"):
        z_consistency([], reference[0])
    with pytest.raises(CtgridError, match="two slices"):
        order_of(np.zeros(1), 1.0)
    with pytest.raises(CtgridError, match="only one"):
        alone = ZProbe.fit([thumbnails(reference[0].hu)])
        alone.heights_without(thumbnails(reference[0].hu))
