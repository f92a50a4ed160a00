"""CT measures without any detector: real and generated volumes side by side, and how far apart they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.base.documents import plain
from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.runs.evaluation.ct.anatomy import HEIGHTS
from ctgrid.runs.evaluation.ct.distances import compare, mean_of, step_quantiles
from ctgrid.runs.evaluation.ct.histogram import BIN_HU, binned
from ctgrid.runs.evaluation.ct.power import common_frequencies, mean_db
from ctgrid.runs.evaluation.ct.profile import Profile, profile
from ctgrid.runs.evaluation.ct.resemblance import part_of_chest, resemblance
from ctgrid.runs.evaluation.ct.thumbnails import Features, thumbnails
from ctgrid.runs.evaluation.ct.z_probe import ZProbe, order_of
from ctgrid.runs.evaluation.lost import Lost
from ctgrid.scan.windows import FULL_WINDOW_HU

if TYPE_CHECKING:
    from ctgrid.runs.evaluation.samples import Sample

PROTOCOL = "ct-measures@2"
"""Version of what is measured."""

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

SPACING_SHARE, PIXEL_SHARE = 0.05, 0.25
"""Medians of spacing along z and in-plane that differ by more than this are warned of; patients differ in-plane."""


def ct_measures(
    real: Sequence[Sample],
    fake: Sequence[Sample],
    progress: Progress = silent,
    features: Features = thumbnails,
    lost: Lost | None = None,
) -> dict[str, Any]:
    """Measure real and generated volumes; one volume is in memory at a time.

    Args:
        real: volumes to compare with.
        fake: generated volumes.
        progress: called after every volume.
        features: describes slices for the reading of heights along z.
        lost: notes volumes that cannot be measured, without which the others are; None raises instead.

    Returns:
        JSON values: ``volumes`` (one row of figures for each volume of ``real`` and ``fake``), ``summary`` (each
        figure's mean, standard deviation, least and greatest, of both), ``distances`` (see
        :func:`ctgrid.runs.evaluation.ct.distances.compare`), ``resemblance`` (``figures``, see
        :mod:`ctgrid.runs.evaluation.ct.resemblance`, and ``notes`` on volumes that lack some), ``curves`` for
        plots, ``warnings``, and ``protocol``.

    Raises:
        CtgridError: where a set is empty or a volume cannot be measured.
    """
    for name, samples in (("real", real), ("fake", fake)):
        if not samples:
            raise CtgridError(f"CT measures need at least one {name} volume, got none")
    lost = lost or Lost(strict=True)
    total, done = len(real) + len(fake), 0
    found: dict[str, list[Profile]] = {"real": [], "fake": []}
    for kind, samples in (("real", real), ("fake", fake)):
        for sample in samples:
            measured = lost.tried(sample, lambda one=sample: profile(one.name, one.load(), features))  # type: ignore[misc]
            found[kind] += [] if measured is None else [measured]
            done += 1
            progress("CT measures", done, total)
        if not found[kind]:
            raise CtgridError(f"no {kind} volume can be measured; {lost.lines[0]}")
    return measures_of(found["real"], found["fake"])


def measures_of(real: Sequence[Profile], fake: Sequence[Profile]) -> dict[str, Any]:
    """Return what :func:`ct_measures` returns, from volumes that were measured already."""
    probe = ZProbe.fit([p.features for p in real])
    rows = {
        "real": [row_of(p, probe.heights_without(p.features) if len(real) > 1 else None) for p in real],
        "fake": [row_of(p, probe.heights(p.features)) for p in fake],
    }
    result: dict[str, Any] = {
        "protocol": PROTOCOL,
        "window_hu": [round(hu) for hu in FULL_WINDOW_HU],
        "n_real": len(real),
        "n_fake": len(fake),
        "summary": summary_of(rows),
        "resemblance": {"figures": resemblance(rows), "notes": notes_of(real, fake)},
        "distances": compare(real, fake),
        "curves": curves_of(real, fake),
        "volumes": rows,
        "warnings": warnings_of(real, fake),
    }
    return dict(plain(nan_to_none(result)))


def row_of(one: Profile, heights: np.ndarray | None) -> dict[str, Any]:
    """Return a volume's figures; those read along z under ``z_…``, where heights could be read."""
    order = order_of(heights, one.extent_mm) if heights is not None else {}
    return {
        "name": one.name,
        "slices": one.slices,
        "spacing_mm": [round(s, 4) for s in one.spacing_mm],
        **one.figures,
        "strongest_seam_period": one.period.period if one.period else None,
        "strongest_seam_first": one.period.first if one.period else None,
        **{f"z_{key}": value for key, value in order.items()},
    }


PLACES = ("strongest_seam_period", "strongest_seam_first", "slices")
"""Numbers of a row whose mean says nothing."""


def summary_of(rows: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return mean, standard deviation, least and greatest of every figure, of both sets; None where none has it."""
    keys = [k for k, v in rows["fake"][0].items() if isinstance(v, int | float) and k not in PLACES]
    summary: dict[str, dict[str, Any]] = {}
    for key in keys:
        summary[key] = {}
        for kind, those in rows.items():
            values = np.array([row[key] for row in those if key in row and np.isfinite(row[key])], float)
            summary[key][kind] = (
                {
                    "mean": values.mean(),
                    "sd": values.std(ddof=1) if len(values) > 1 else None,
                    "min": values.min(),
                    "max": values.max(),
                }
                if len(values)
                else None
            )
    return summary


def curves_of(real: Sequence[Profile], fake: Sequence[Profile]) -> dict[str, Any]:
    """Return what plots need: quantiles of steps, mean histograms, spectra and areas."""
    sets = {"real": real, "fake": fake}
    frequencies = common_frequencies([p.spectrum for p in (*real, *fake)])
    inside = {kind: binned(mean_of(those, "body_histogram")) for kind, those in sets.items()}
    return {
        "step_quantiles_hu": {
            "levels": list(QUANTILES),
            **{kind: step_quantiles(those, QUANTILES) for kind, those in sets.items()},
        },
        "body_histogram": {
            "low_hu": round(FULL_WINDOW_HU[0]),
            "bin_hu": BIN_HU,
            **{kind: np.round(shares, 7) for kind, shares in inside.items()},
        },
        "spectrum_db": {
            "frequency_per_mm": np.round(frequencies, 5),
            **{kind: np.round(mean_db([p.spectrum for p in those], frequencies), 3) for kind, those in sets.items()},
        },
        **{
            key: {
                "relative_z": (np.arange(HEIGHTS) + 0.5) / HEIGHTS,
                **{kind: np.round(mean_of(those, key), 1) for kind, those in sets.items()},
                **{
                    f"{kind}_sd": np.round(np.std([getattr(p, key) for p in those], axis=0), 1)
                    for kind, those in sets.items()
                },
            }
            for key in ("body_mm2", "lung_mm2", "bone_percent")
        },
    }


def notes_of(real: Sequence[Profile], fake: Sequence[Profile]) -> list[str]:
    """Return which volumes have no figures along z, and why."""
    reasons = ((p.name, part_of_chest(p.extent_mm, p.spacing_mm[0])) for p in (*real, *fake))
    return [f"{name} {why}" for name, why in reasons if why]


def warnings_of(real: Sequence[Profile], fake: Sequence[Profile]) -> list[str]:
    """Return what a reader must know before comparing."""
    found = []
    for axis, place, share, what in (
        (
            0,
            "slices",
            SPACING_SHARE,
            "measures along z compare only at one spacing; see --real-frame",
        ),
        (1, "pixels", PIXEL_SHARE, "detail compares only as far as both resolve it; bring both to one field of view"),
    ):
        ours, theirs = (float(np.median([p.spacing_mm[axis] for p in those])) for those in (real, fake))
        if abs(theirs - ours) > share * ours:
            found.append(f"real {place} lie {ours:.2f} mm apart, generated ones {theirs:.2f} mm: {what}")
    if len(real) < 2:
        found.append("one real volume: nothing tells how far real volumes lie from each other")
    return found


def nan_to_none(value: Any) -> Any:
    """Put None in the place of NaN, throughout dictionaries and lists."""
    if isinstance(value, dict):
        return {key: nan_to_none(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [nan_to_none(item) for item in value]
    return None if isinstance(value, float) and np.isnan(value) else value
