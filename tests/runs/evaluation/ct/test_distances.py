"""How far sets of measured volumes lie apart: by the plain definitions, every volume counting alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from ctgrid.runs.evaluation.ct.distances import DISTANCES, compare, mean_of, step_quantiles, steps_apart
from ctgrid.runs.evaluation.ct.profile import Profile


def measured(seed: int, steps: Any = None, **changes: Any) -> Profile:
    """A volume as if it had been measured."""
    rng = np.random.default_rng(seed)
    histogram = rng.random(2001)
    frequencies = np.linspace(0.01, 0.5, 40)
    known: dict[str, Any] = {
        "name": str(seed),
        "slices": 9,
        "spacing_mm": (2.0, 1.0, 1.0),
        "steps": rng.random(8) * 50 if steps is None else np.asarray(steps, float),
        "figures": {},
        "period": None,
        "histogram": histogram / histogram.sum(),
        "body_histogram": histogram[::-1] / histogram.sum(),
        "spectrum": (frequencies, -40 * frequencies + rng.standard_normal(40)),
        "body_mm2": rng.random(50) * 1e4,
        "lung_mm2": rng.random(50) * 5e3,
        "bone_percent": np.zeros(50),
        "features": np.zeros((9, 2)),
    }
    return Profile(**known | changes)


def test_long_volumes_weigh_no_more_than_short_ones() -> None:
    a, b = [measured(0, [10.0]), measured(1, [20.0] * 9)], [measured(2, [10.0, 30.0])]
    assert steps_apart(a, b) == pytest.approx(wasserstein_distance([10, 20], [10, 30]))
    assert step_quantiles(a, [0.0, 0.25, 0.5, 1.0]) == pytest.approx([10, 10, 19, 20])


def test_a_set_is_no_distance_from_itself_and_both_ways_are_alike() -> None:
    sets = [measured(i) for i in range(3)], [measured(i) for i in range(3, 5)]
    assert len({one.name for one in DISTANCES}) == len(DISTANCES)
    for one in DISTANCES:
        assert one.between(sets[0], sets[0]) == pytest.approx(0, abs=1e-9), one.name
        there, back = one.between(*sets), one.between(*sets[::-1])
        assert there == pytest.approx(-back if one.name.endswith("bias_db") else back), one.name


def test_histograms_of_nothing_are_left_out() -> None:
    """A volume without body has none; a set of such has no distance."""
    empty = replace(measured(7), body_histogram=np.zeros(2001))
    body = next(one for one in DISTANCES if one.name == "body_histogram_wasserstein_hu")
    real, fake = [measured(0), measured(1)], [measured(2)]
    assert body.between(real, [*fake, empty]) == pytest.approx(body.between(real, fake))
    assert np.isnan(body.between(real, [empty]))
    np.testing.assert_allclose(mean_of(real, "histogram"), (real[0].histogram + real[1].histogram) / 2)


def test_each_volume_is_compared_with_the_real_ones_but_itself() -> None:
    real, fake = [measured(i) for i in range(3)], [measured(3), measured(4)]
    found = compare(real, fake)["step_wasserstein_hu"]
    assert found["fake_each"] == [steps_apart(real, [one]) for one in fake]
    assert found["real_each"][1] == steps_apart([real[0], real[2]], [real[1]])
    assert found["fake_mean"] == pytest.approx(np.mean(found["fake_each"])) and found["value"] == steps_apart(
        real, fake
    )
    alone = compare(real[:1], fake)["spectrum_db"]
    assert alone["real_each"] is None and alone["real_mean"] is None and len(alone["fake_each"]) == 2
