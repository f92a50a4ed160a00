"""How a volume changes from slice to slice: steps, flicker, and seams where a model joins its pieces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.metrics.flicker import flicker
from ctgrid.metrics.sequence import joint_ratio
from ctgrid.scan.windows import CHEST_WINDOW_HU

LONGEST_PERIOD = 64
NEAR = 9
"""Steps whose median stands for what the anatomy does around a step."""


def chest_flicker(hu: np.ndarray) -> float:
    """Return :func:`ctgrid.metrics.flicker` of slices shown in the window of the chest, on the scale 0 … 255.

    Args:
        hu: (n, S, S), n at least 2.
    """
    low, high = CHEST_WINDOW_HU
    return flicker(((image.clip(low, high) - low) * (255 / (high - low))).round().astype(np.uint8) for image in hu)


def jitter(hu: np.ndarray) -> float:
    """Return how much of the change along z goes back and forth: mean |second difference| over mean |first|.

    Near 0 where slices follow a straight line, 1.73 = √3 where every slice is drawn on its own.

    Args:
        hu: (n, S, S).

    Returns:
        NaN for fewer than three slices, or slices that are all equal.
    """
    first = second = 0.0
    last: np.ndarray | None = None
    for a, b in pairwise(hu):
        step = b.astype(np.int32) - a
        first += float(np.abs(step).mean())
        if last is not None:
            second += float(np.abs(step - last).mean())
        last = step
    if len(hu) < 3 or first == 0:
        return float("nan")
    return (second / (len(hu) - 2)) / (first / (len(hu) - 1))


def brightness_noise(levels: np.ndarray) -> float:
    """Return the noise of the slices' brightness, from second differences: √(mean d² / 6), in the unit given.

    White noise of standard deviation s from slice to slice gives s; a straight line along z gives 0.

    Args:
        levels: (n,) mean HU of each slice, NaN where it has none.
    """
    second = np.diff(levels, 2)
    second = second[np.isfinite(second)]
    return float(np.sqrt(np.mean(second**2) / 6)) if len(second) else float("nan")


@dataclass(frozen=True)
class Period:
    """Steps that stand out at equal distances.

    Attributes:
        period: slices from one to the next.
        first: the first of them; step i lies between slices i and i + 1.
        ratio: their mean over that of all others, each beside the median of its neighbours.
        sigmas: how far above the mean, in standard errors; the highest of all periods and places, which is 2 to 5 in
            real chests without any seam.
    """

    period: int
    first: int
    ratio: float
    sigmas: float


def strongest_period(steps: np.ndarray, longest: int = LONGEST_PERIOD) -> Period | None:
    """Find the period and place at which steps stand out most, without knowing where a model joins its pieces.

    Args:
        steps: (n - 1,) mean |difference| of neighbouring slices, in HU.
        longest: period to try, at most a fourth of the steps, so that each place comes four times.

    Returns:
        None for fewer than 8 steps, or steps that are all 0.
    """
    if len(steps) < 8 or not steps.any():
        return None
    from scipy.ndimage import median_filter

    local = median_filter(steps, NEAR, mode="nearest")
    relative = np.divide(steps, local, out=np.ones_like(steps), where=local > 0)
    spread = max(float(relative.std()), np.finfo(float).tiny)
    best: Period | None = None
    for period in range(2, min(longest, len(steps) // 4) + 1):
        for first in range(period):
            at = relative[first::period]
            sigmas = float((at.mean() - relative.mean()) / (spread / np.sqrt(len(at))))
            if best is None or sigmas > best.sigmas:
                best = Period(period, first, joint_ratio(relative, range(first, len(steps), period)), sigmas)
    return best


def known_joints(slices: int, k: int = 4) -> dict[str, list[int]]:
    """Return the steps at which grid models join what they make, by name.

    Args:
        slices: N of the volume.
        k: cells along a grid's side.

    Returns:
        ``grids``: between grids of K² slices laid side by side; ``keyframes``: on both sides of the slices that the
        hierarchical schedule makes first. Empty lists where one grid holds the volume.
    """
    from ctgrid.stages.schedules import plan_grids

    if slices <= k * k:
        return {"grids": [], "keyframes": []}
    filled = plan_grids("hierarchical", slices, k, mend=False)[-1]
    fillings: Sequence[np.ndarray] = [grid.target[grid.known] for grid in filled]
    keyframes = np.unique(np.concatenate(fillings)).tolist()
    return {
        "grids": list(range(k * k - 1, slices - 1, k * k)),
        "keyframes": sorted({joint for frame in keyframes for joint in (frame - 1, frame) if 0 <= joint < slices - 1}),
    }


def ratio_or_nan(steps: np.ndarray, joints: Iterable[int]) -> float:
    """Return :func:`ctgrid.metrics.sequence.joint_ratio`; NaN where there is no joint or nothing to compare with."""
    try:
        return joint_ratio(steps, joints)
    except CtgridError:
        return float("nan")
