"""Bone and symmetry of a chest, in :mod:`ctgrid.runs.evaluation.ct.chest_frame`'s frame."""

from __future__ import annotations

import numpy as np
from einops import reduce

from ctgrid.metrics.regions import TISSUES_HU
from ctgrid.runs.evaluation.ct.chest_frame import ChestFrame
from ctgrid.runs.evaluation.ct.masks import eroded

SPINE_MM = 16.0
"""Width, across and front to back, of the column in which vertebrae are looked for: the middle of their bodies."""

RIPPLE_MM = 12.0
"""Standard deviation of the Gaussian along z that leaves the spine's slow changes: vertebrae come every 20 to 30 mm."""

MIRROR_BLOCK = 4
"""Pixels, each way, averaged before left and right are compared."""


def bone_percent(frame: ChestFrame) -> np.ndarray:
    """Return the share of bone (300 HU and above) in the body of each slice (121,), in percent; NaN without body."""
    inside = eroded(frame.body, 1)
    count = inside.sum(axis=(1, 2))
    bone = ((frame.hu >= TISSUES_HU["bone"][0]) & inside).sum(axis=(1, 2))
    return np.divide(100.0 * bone, count, out=np.full(len(count), np.nan), where=count > 0)


def spine_ripple_hu(frame: ChestFrame) -> float:
    """Return how much the spine's brightness goes up and down along z, vertebra after vertebra: standard deviation.

    The spine is followed where the middle of the body is brightest front to back, smoothly along z.

    Args:
        frame: of a volume; NaN where its slices lie too far apart or show no body.
    """
    from scipy.ndimage import gaussian_filter, gaussian_filter1d

    if not frame.fine or not frame.body.any():
        return float("nan")
    side, wide = frame.hu.shape[2], max(1, round(SPINE_MM / 2 / frame.pixel_mm))
    inside = np.where(frame.body, frame.hu.clip(-200, 600), -200)
    behind = np.cumsum(frame.body.sum(axis=(0, 2))) > frame.body.sum() / 2  # rows go to the patient's back
    bright = gaussian_filter(inside[:, behind].mean(axis=0), wide / 2)
    near = slice(side // 2 - side // 10, side // 2 + side // 10)
    column = near.start + int(bright[:, near].max(axis=0).argmax())
    sagittal = inside[:, :, column - wide : column + wide + 1].mean(axis=2)
    smooth = gaussian_filter(sagittal, (4 * RIPPLE_MM / frame.step_mm, wide))
    row = np.where(behind, smooth, -np.inf).argmax(axis=1)
    columns = np.arange(-wide, wide + 1)
    rows = (row[:, None] + columns).clip(0, side - 1)
    profile = np.take_along_axis(sagittal, rows, axis=1).mean(axis=1)
    return float(np.std(profile - gaussian_filter1d(profile, RIPPLE_MM / frame.step_mm)))


def mirror_correlation(frame: ChestFrame) -> float:
    """Return the correlation of slices with their mirror image, left for right, about the middle of each body.

    1 is perfect symmetry; real chests have a heart on one side. NaN without body.
    """
    found = []
    for hu, body in zip(frame.hu[::MIRROR_BLOCK], frame.body[::MIRROR_BLOCK], strict=True):
        columns = np.flatnonzero(body.any(axis=0))
        if not len(columns):
            continue
        surplus = int(columns[-1] + 1 - columns[0]) % (2 * MIRROR_BLOCK)
        first = int(columns[0]) + surplus // 2
        span = slice(first, int(columns[-1]) + 1 - (surplus - surplus // 2))
        block = {"a": MIRROR_BLOCK, "b": MIRROR_BLOCK}
        if span.stop <= span.start:
            continue
        small = reduce(hu[:, span], "(y a) (x b) -> y x", "mean", **block)
        there = reduce(body[:, span].astype(np.float32), "(y a) (x b) -> y x", "mean", **block) > 0.5
        both = there & there[:, ::-1]
        if both.sum() > 2 and small[both].std() > 0:
            found.append(float(np.corrcoef(small[both], small[:, ::-1][both])[0, 1]))
    return float(np.mean(found)) if found else float("nan")
