"""How well maps of trust are calibrated: the share of voxels whose error is within so many standard deviations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.methods.denoising.trust.calibrate import RANGES_HU
from ctgrid.methods.denoising.trust.signs import signs_of
from ctgrid.methods.denoising.trust.table import TrustTable
from ctgrid.runs.evaluation.plots import new_figure
from ctgrid.scan.windows import FULL_WINDOW_HU

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGMAS = (1, 2, 3)
EXPECTED = (0.6827, 0.9545, 0.9973)
"""Shares of a normal distribution within as many standard deviations."""


def measure_trust(
    table: TrustTable, noisy: np.ndarray, found: np.ndarray, clean: np.ndarray, spacing_mm: tuple[float, float]
) -> dict[str, float | None]:
    """Measure a method's map of trust by the clean scan; values are clipped as other measures clip them.

    Args:
        table: of the model.
        noisy: (n, y, x) HU before.
        found: (n, y, x) HU after.
        clean: (n, y, x) HU without the noise that was added.
        spacing_mm: (y, x).

    Returns:
        ``within_1_lung`` ...: shares of the voxels of each range of clean values; None where there are none.
    """
    inside = {(name, k): 0 for name in RANGES_HU for k in SIGMAS}
    voxels = dict.fromkeys(RANGES_HU, 0)
    for before, after, below in zip(noisy, found, clean, strict=True):
        signs = signs_of(before, after, spacing_mm)
        sigma = table.sigma(signs.hu, signs.values)
        off = np.abs(np.clip(after, *FULL_WINDOW_HU) - np.clip(below, *FULL_WINDOW_HU))
        for name, (low, high) in RANGES_HU.items():
            own = (below >= low) & (below < high)
            voxels[name] += int(own.sum())
            for k in SIGMAS:
                inside[name, k] += int((off[own] <= k * sigma[own]).sum())
    return {
        f"within_{k}_{name}": round(count / voxels[name], 4) if voxels[name] else None
        for (name, k), count in inside.items()
    }


def calibration(rows: Sequence[dict[str, Any]]) -> Figure | None:
    """Draw the shares within one, two and three standard deviations over those expected; None where none were measured.

    Args:
        rows: as in ``results.json``; a mark is a scan under one kind of noise.
    """
    measured = [row for row in rows if any(row.get(f"within_{k}_soft") is not None for k in SIGMAS)]
    if not measured:
        return None
    figure = new_figure(5, 4.2)
    axis = figure.subplots()
    for i, name in enumerate(RANGES_HU):
        for number, row in enumerate(measured):
            shares = [float(row[key]) for k in SIGMAS if row.get(key := f"within_{k}_{name}") is not None]
            if len(shares) == len(SIGMAS):
                place = [k + 0.08 * (i - 2) for k in SIGMAS]
                axis.plot(place, shares, f"C{i}o", markersize=3, alpha=0.6, label=None if number else name)
    axis.plot(SIGMAS, EXPECTED, "k_", markersize=40, label="normal")
    axis.set_xticks(SIGMAS)
    axis.set_xlabel("standard deviations")
    axis.set_ylabel("share of voxels within")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7)
    return figure
