"""Plots and pictures of a denoising evaluation: figures over the noise, slices, spectra of what is left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.runs.evaluation.keep import Kept
from ctgrid.runs.evaluation.plots import cases_of, draw_comparison, new_figure, save_figure
from ctgrid.runs.evaluation.trust import calibration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRUTH = "clean"


def draw_denoising(rows: Sequence[dict[str, Any]], out: Path) -> list[Path]:
    """Draw the curves, and a picture and the spectra of every case.

    Args:
        rows: as in ``results.json``.
        out: the evaluation's folder.

    Returns:
        The files written.
    """
    paths = [save_figure(curves(rows), out / "curves.png")]
    trust = calibration(rows)
    if trust is not None:
        paths.append(save_figure(trust, out / "trust.png"))
    for case in cases_of(rows, out, lambda row: row["noise"], TRUTH, "noisy"):
        title = f"{case.volume}, {case.condition}"
        paths += draw_comparison(case, title, TRUTH)
        if any(len(one.frequency) for one in case.kept.values()):
            paths.append(save_figure(spectra(case.kept, title), case.folder / "spectra.png"))
    return paths


def curves(rows: Sequence[dict[str, Any]]) -> Figure:
    """Draw PSNR and SSIM against the noise, one line for each method; other noise than white is a cross."""
    figure = new_figure(10, 4.2)
    axes = figure.subplots(1, 2)
    methods = list(dict.fromkeys(row["method"] for row in rows))
    for key, label, axis in zip(("psnr", "ssim"), ("PSNR in dB over 2000 HU", "SSIM"), axes, strict=True):
        for i, method in enumerate(methods):
            for white in (True, False):
                chosen = [r for r in rows if r["method"] == method and r["noise"].startswith("gaussian") == white]
                levels = sorted({r["noise_hu"] for r in chosen})
                means = [_mean(r[key] for r in chosen if r["noise_hu"] == level) for level in levels]
                style = {"marker": "o", "markersize": 3} if white else {"marker": "x", "linestyle": "none"}
                name = method if white or not any(r["noise"].startswith("gaussian") for r in rows) else None
                if levels:
                    axis.plot(levels, means, color=f"C{i % 10}", label=name, **style)
        axis.set_xscale("log")
        axis.set_xlabel("noise in HU")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=7)
    return figure


def spectra(kept: dict[str, Kept], title: str) -> Figure:
    """Draw the noise-power spectra of what is left in soft tissue."""
    figure = new_figure(6, 4.2)
    axis = figure.subplots()
    for name, case in kept.items():
        if len(case.frequency):
            axis.plot(case.frequency, np.maximum(case.power, 1e-3), label=name)
    axis.set_yscale("log")
    axis.set_xlabel("spatial frequency in 1/mm")
    axis.set_ylabel("noise power in HU² mm²")
    axis.set_title(title, fontsize=9)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7)
    return figure


def _mean(values: Any) -> float:
    numbers = [float(v) for v in values if v is not None]
    return float(np.mean(numbers)) if numbers else float("nan")
