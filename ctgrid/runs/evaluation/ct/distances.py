"""How far two sets of measured volumes lie apart, beside how far real volumes lie from each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ctgrid.runs.evaluation.ct.anatomy import curve_distance
from ctgrid.runs.evaluation.ct.histogram import jensen_shannon, wasserstein_hu
from ctgrid.runs.evaluation.ct.power import BANDS, band_bias_db, common_frequencies, log_distance_db
from ctgrid.runs.evaluation.ct.profile import Profile

Profiles = Sequence[Profile]


@dataclass(frozen=True)
class Distance:
    """One way to compare two sets.

    Attributes:
        name: key in the result.
        unit: of its values.
        meaning: one line.
        between: from the first set to the second.
    """

    name: str
    unit: str
    meaning: str
    between: Callable[[Profiles, Profiles], float]


def steps_apart(a: Profiles, b: Profiles) -> float:
    """Return the Wasserstein-1 distance of two sets' slice steps in HU, every volume counting alike."""
    from scipy.stats import wasserstein_distance

    values, weights = zip(*(_pooled(s) for s in (a, b)), strict=True)
    return float(wasserstein_distance(*values, *weights))


def _pooled(profiles: Profiles) -> tuple[np.ndarray, np.ndarray]:
    weights = [np.full(len(p.steps), 1 / len(p.steps)) for p in profiles]
    return np.concatenate([p.steps for p in profiles]), np.concatenate(weights)


def step_quantiles(profiles: Profiles, levels: Sequence[float]) -> list[float]:
    """Return quantiles of the slice steps of a set in HU, every volume counting alike."""
    values, weights = _pooled(profiles)
    order = np.argsort(values)
    share = (np.cumsum(weights[order]) - weights[order] / 2) / weights.sum()
    return [float(v) for v in np.interp(levels, share, values[order])]


def mean_of(profiles: Profiles, key: str) -> np.ndarray:
    """Return the mean of one of the profiles' arrays, such as ``histogram``."""
    return np.asarray(np.mean([getattr(p, key) for p in profiles], axis=0))


def _histograms(key: str, how: Callable[[np.ndarray, np.ndarray], float], a: Profiles, b: Profiles) -> float:
    there = [[p for p in profiles if getattr(p, key).any()] for profiles in (a, b)]
    return how(*(mean_of(profiles, key) for profiles in there)) if all(there) else float("nan")


def _areas(key: str, a: Profiles, b: Profiles) -> float:
    return curve_distance([getattr(p, key) for p in a], [getattr(p, key) for p in b])


def _spectra(band: str | None, a: Profiles, b: Profiles) -> float:
    first, second = [p.spectrum for p in a], [p.spectrum for p in b]
    frequencies = common_frequencies([*first, *second])
    if band is None:
        return log_distance_db(first, second, frequencies)
    return band_bias_db(first, second, frequencies, band)


DISTANCES: tuple[Distance, ...] = (
    Distance("step_wasserstein_hu", "HU", "Wasserstein-1 of mean |difference| of neighbouring slices", steps_apart),
    Distance(
        "histogram_wasserstein_hu",
        "HU",
        "Wasserstein-1 of all voxels' HU",
        partial(_histograms, "histogram", wasserstein_hu),
    ),
    Distance(
        "histogram_js",
        "bit",
        "Jensen-Shannon divergence of all voxels' HU, bins of 10 HU",
        partial(_histograms, "histogram", jensen_shannon),
    ),
    Distance(
        "body_histogram_wasserstein_hu",
        "HU",
        "Wasserstein-1 of HU inside the body",
        partial(_histograms, "body_histogram", wasserstein_hu),
    ),
    Distance(
        "body_histogram_js",
        "bit",
        "Jensen-Shannon divergence of HU inside the body, bins of 10 HU",
        partial(_histograms, "body_histogram", jensen_shannon),
    ),
    Distance("spectrum_db", "dB", "mean |difference| of radial power spectra in dB", partial(_spectra, None)),
    *(
        Distance(
            f"spectrum_{band}_bias_db",
            "dB",
            f"mean difference of power at {low:g} to {high:g} of the highest common frequency; below 0 is blur",
            partial(_spectra, band),
        )
        for band, (low, high) in BANDS.items()
    ),
    Distance("body_area_mm2", "mm²", "mean |difference| of body area along relative z", partial(_areas, "body_mm2")),
    Distance("lung_area_mm2", "mm²", "mean |difference| of lung area along relative z", partial(_areas, "lung_mm2")),
)


def compare(real: Profiles, fake: Profiles) -> dict[str, dict[str, Any]]:
    """Return every distance: of the sets as wholes, and of each volume from the real ones.

    Args:
        real: profiles of real volumes, at least one.
        fake: of generated ones, at least one.

    Returns:
        By the distance's name ``value``, all fake to all real; ``fake_each``, each fake volume to all real; and
        ``real_each``, each real volume to the other real ones, None for a single one; with ``unit`` and ``meaning``.
        The mean of ``real_each`` is what that of ``fake_each`` should be.
    """
    result = {}
    for distance in DISTANCES:
        others = [[p for p in real if p is not one] for one in real]
        real_each = [distance.between(rest, [one]) for rest, one in zip(others, real, strict=True) if rest]
        fake_each = [distance.between(real, [one]) for one in fake]
        result[distance.name] = {
            "value": distance.between(real, fake),
            "unit": distance.unit,
            "meaning": distance.meaning,
            "fake_mean": float(np.mean(fake_each)),
            "real_mean": float(np.mean(real_each)) if real_each else None,
            "fake_each": fake_each,
            "real_each": real_each or None,
        }
    return result
