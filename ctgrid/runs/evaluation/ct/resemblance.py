"""Whether generated chests measure like real ones: each figure beside the range of the real volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctgrid.runs.evaluation.ct.along_z import chest_flicker
from ctgrid.runs.evaluation.ct.chest_frame import THICK_MM, WHOLE_MM, ChestFrame
from ctgrid.runs.evaluation.ct.detail import area_change, lung_detail_hu, steps_hu, streaks
from ctgrid.runs.evaluation.ct.skeleton import bone_percent, mirror_correlation, spine_ripple_hu


@dataclass(frozen=True)
class Figure:
    """A figure of a volume by which generated ones are held against real ones.

    Attributes:
        name: key in a volume's row.
        unit: of its values.
        meaning: one line.
    """

    name: str
    unit: str
    meaning: str


FIGURES: tuple[Figure, ...] = (
    Figure("steps_across_p99_hu", "HU", "99th percentile of steps from voxel to voxel in-plane, inside the body"),
    Figure("steps_along_p99_hu", "HU", "the same along z"),
    Figure("lung_detail_hu", "HU", "high-pass detail in the lungs, standard deviation"),
    Figure("area_change_p95", "share", "95th percentile of the change of the body's area from slice to slice"),
    Figure("streaks", "share", "in-plane high-pass energy in soft tissue that a mean over 9 slices keeps"),
    Figure("flicker_framed", "0 to 255", "mean change from slice to slice, as of a moving picture"),
    Figure("bone_percent", "%", "share of bone in the body"),
    Figure("spine_ripple_hu", "HU", "brightness of the spine up and down along z, vertebra after vertebra"),
    Figure("mirror_correlation", "", "likeness of left and right; 1 is perfect symmetry"),
    Figure("body_cm2", "cm²", "mean area of the body"),
    Figure("lung_litres", "l", "volume of the lungs"),
)
"""All of them; ``body_cm2`` and ``lung_litres`` are taken of volumes as they come, the others in the frame."""


def frame_figures(frame: ChestFrame) -> dict[str, float]:
    """Return the figures of one volume that are taken in the frame, NaN where there is none."""
    across, along = steps_hu(frame)
    bone = bone_percent(frame)
    bone = bone[np.isfinite(bone)] if frame.whole else np.empty(0)
    return {
        "steps_across_p99_hu": across,
        "steps_along_p99_hu": along,
        "lung_detail_hu": lung_detail_hu(frame),
        "area_change_p95": area_change(frame),
        "streaks": streaks(frame),
        "flicker_framed": chest_flicker(frame.hu) if frame.fine else float("nan"),
        "bone_percent": float(bone.mean()) if len(bone) else float("nan"),
        "spine_ripple_hu": spine_ripple_hu(frame),
        "mirror_correlation": mirror_correlation(frame) if frame.whole else float("nan"),
    }


def resemblance(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return each figure's range over the real volumes beside the median of the generated ones.

    Args:
        rows: figures of the volumes of ``real`` and ``fake`` by name, NaN where a volume has none, with ``slices``
            and ``spacing_mm``; what is no whole chest counts with neither body nor lungs.

    Returns:
        By the figure's name ``unit``, ``meaning``, ``real`` and ``fake`` (``n``, ``min``, ``median``, ``max``, and
        ``spread``: standard deviation over |mean|, None for fewer than two volumes; None where no volume has the
        figure), and ``outside``: whether the generated median lies out of the real range; None where one is missing.
    """
    found = {}
    for figure in FIGURES:
        real, fake = (_range([_value(row, figure.name) for row in rows[kind]]) for kind in ("real", "fake"))
        outside = None if real is None or fake is None else not real["min"] <= fake["median"] <= real["max"]
        found[figure.name] = {
            "unit": figure.unit,
            "meaning": figure.meaning,
            "real": real,
            "fake": fake,
            "outside": outside,
        }
    return found


def _value(row: Mapping[str, Any], name: str) -> float:
    whole = row["slices"] * row["spacing_mm"][0] >= WHOLE_MM
    return float(row[name]) if whole or name not in ("body_cm2", "lung_litres") else float("nan")


def _range(values: Sequence[float]) -> dict[str, Any] | None:
    known = np.array(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return None
    mean = abs(float(known.mean()))
    spread = float(known.std(ddof=1)) / mean if len(known) > 1 and mean else None
    low, median, high = (float(v) for v in (known.min(), np.median(known), known.max()))
    return {"n": len(known), "min": low, "median": median, "max": high, "spread": spread}


def part_of_chest(extent_mm: float, spacing_mm: float) -> str | None:
    """Say why a volume has no figures along z, in words that follow its name; None where it has them."""
    if extent_mm < WHOLE_MM:
        return f"covers {extent_mm:.0f} mm, no whole chest ({WHOLE_MM:g} mm): no figures along z"
    if spacing_mm > THICK_MM:
        return f"slices lie {spacing_mm:.1f} mm apart, over {THICK_MM:g} mm: no detail along z"
    return None
