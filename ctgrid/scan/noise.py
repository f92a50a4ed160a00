"""How noisy a scan is, in HU."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctgrid.scan.noise_patches import Patches, joined, level_of, map_of, of_noise, patches_of
from ctgrid.scan.volume import Volume

SLICES = 15
"""Slices looked at, evenly spaced: enough for a median, and quick."""

APART_MM = 12.0
"""Where the noise of every slice is wanted, those looked at lie no further apart: it changes little in between."""

REACH = 2
"""Slices on either side that have a say in a slice's noise."""

THREADS = 2
"""Slices looked at at once: numpy works on them without Python's lock."""

LEAST_SHARE, MOST_SHARE = 0.5, 4.0
"""A slice's noise over the scan's: shoulders of a low dose have three times as much, none has a third."""


def estimate_noise(volume: Volume) -> float:
    """Estimate the standard deviation of a scan's noise in soft tissue, in HU, whatever its grain.

    The median over slices of the response to a second difference in soft tissue, times the scan's grain: the ratio of
    the spread within even patches to that response (their most frequent one, in the manner of Christianson et al.
    2015, AJR 205:W337); see :mod:`ctgrid.scan.noise_patches`. Of a scan that was smoothed or denoised before only the
    quietest patches tell, for in the others there is anatomy alone.

    Args:
        volume: the scan.

    Returns:
        The estimate; 0 where neither a slice nor all of them together hold enough soft tissue.
    """
    spacing = volume.spacing_mm[1], volume.spacing_mm[2]
    parts, grain = of_noise(_patches(volume.hu, slices_told_by(len(volume.hu)), spacing))
    if grain is None:
        return 0.0
    found = [level for level in (level_of(part, grain) for part in parts) if level is not None]
    level = float(np.median(found)) if found else level_of(joined(parts), grain)  # small slices count together
    return level or 0.0


def estimate_noise_per_slice(volume: Volume) -> np.ndarray:
    """Estimate the noise of every slice along the file's z, in HU; see :func:`survey_noise`.

    Args:
        volume: the scan.

    Returns:
        (n,) float64; NaN for slices with too little soft tissue to tell.
    """
    return survey_noise(volume).per_slice


@dataclass(frozen=True)
class NoiseSurvey:
    """What is known of a scan's noise, slice by slice along the file's z.

    Attributes:
        per_slice: in HU, (n,) float64; NaN for slices with too little soft tissue to tell.
        maps: how it varies over each slice, (n, h, w) float32 about 1, over the slice with any number of cells.
    """

    per_slice: np.ndarray
    maps: np.ndarray


def survey_noise(volume: Volume) -> NoiseSurvey:
    """Estimate the noise of every slice, and how it varies over the slice; see :func:`estimate_noise`.

    The grain is that of the whole scan. Slices no more than :data:`APART_MM` apart are looked at, those between are
    interpolated.

    Args:
        volume: the scan.
    """
    count, spacing = len(volume.hu), (volume.spacing_mm[1], volume.spacing_mm[2])
    gaps = (SLICES - 1) * max(1, math.ceil((count - 1) * volume.spacing_mm[0] / (SLICES - 1) / APART_MM))
    dense = np.linspace(0, count - 1, gaps + 1).round().astype(int)
    looked_at = np.union1d(dense, slices_told_by(count))
    telling = np.searchsorted(looked_at, slices_told_by(count))
    parts, grain = of_noise(_patches(volume.hu, looked_at, spacing), telling.tolist())
    if grain is None:
        return NoiseSurvey(np.full(count, np.nan), np.ones((count, 1, 1), np.float32))
    levels = [level_of(part, grain) for part in parts]
    found = [map_of(part, grain, volume.hu.shape[1:], spacing) for part in parts]
    size = next((each.shape for each in found if each is not None), (1, 1))
    maps = np.stack([np.ones(size, np.float32) if each is None else each for each in found])
    known = np.array([np.nan if level is None else level for level in levels])
    low, share = _between(looked_at, count)
    return NoiseSurvey(
        np.where(share == 0, known[low], (1 - share) * known[low] + share * known[np.minimum(low + 1, len(known) - 1)]),
        (1 - share)[:, None, None] * maps[low] + share[:, None, None] * maps[np.minimum(low + 1, len(maps) - 1)],
    )


def _patches(hu: np.ndarray, numbers: np.ndarray, spacing_mm: tuple[float, float]) -> list[Patches]:
    """Return the patches of some slices (n, y, x), two slices at a time."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(lambda number: patches_of(hu[number], spacing_mm), numbers))


def _between(known: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each of ``count`` numbers which known one lies at or below it, and the share of the next, float32."""
    at = np.arange(count)
    low = np.searchsorted(known, at, side="right") - 1
    after = known[np.minimum(low + 1, len(known) - 1)]
    return low, ((at - known[low]) / np.maximum(after - known[low], 1)).astype(np.float32)


def slices_told_by(count: int) -> np.ndarray:
    """Return the slices that tell the noise and grain of a scan of so many: no others change its estimate."""
    return np.unique(np.linspace(0, count - 1, SLICES).round().astype(int))


def smoothed(per_slice: np.ndarray, level_hu: float) -> np.ndarray:
    """Return the noise that every slice is denoised by, where estimates of single slices are to be trusted.

    A running median over five slices; slices that cannot tell take the volume's level, and none has less than half of
    it or more than four times as much.

    Args:
        per_slice: (n,) HU as of :func:`estimate_noise_per_slice`.
        level_hu: the volume's.

    Returns:
        (n,) float64 in HU.
    """
    known = np.where(np.isfinite(per_slice), per_slice, level_hu)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(known, REACH, mode="edge"), 2 * REACH + 1)
    return np.asarray(np.median(windows, axis=-1).clip(level_hu * LEAST_SHARE, level_hu * MOST_SHARE))


def summary_of(per_slice: np.ndarray) -> dict[str, Any]:
    """Return estimates per slice in JSON-able form: ``values``, ``lowest``, ``median``, ``highest``, ``told``.

    Args:
        per_slice: (n,) as of :func:`estimate_noise_per_slice`.
    """
    told = per_slice[np.isfinite(per_slice)]
    values = [round(float(sigma), 1) if np.isfinite(sigma) else None for sigma in per_slice]
    facts: dict[str, Any] = {"slices": len(per_slice), "told": len(told), "values": values}
    if len(told):
        low, middle, high = np.quantile(told, (0, 0.5, 1))
        facts |= {"lowest": round(float(low), 2), "median": round(float(middle), 2), "highest": round(float(high), 2)}
    return facts
