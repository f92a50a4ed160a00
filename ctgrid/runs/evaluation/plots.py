"""Plots and pictures of a denoising evaluation, drawn from what it kept on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.base.files import atomic_output
from ctgrid.runs.evaluation.keep import Kept, case_folder, kept_cases
from ctgrid.scan.windows import CHEST_WINDOW_HU, FULL_WINDOW_HU

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DIFFERENCE_HU = 200.0
"""Differences from the clean slice are drawn from minus to plus this."""

PANEL_INCHES, DOTS_PER_INCH = 2.6, 110


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, atomically, without a clock time in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_output(path, overwrite=True) as temporary:
        figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return path


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def draw_all(rows: Sequence[dict[str, Any]], out: Path) -> list[Path]:
    """Draw the curves, and a picture and the spectra of every case.

    Args:
        rows: as in ``results.json``.
        out: the evaluation's folder.

    Returns:
        The files written.
    """
    paths = [save_figure(curves(rows), out / "curves.png")]
    for volume, noise in dict.fromkeys((row["volume"], row["noise"]) for row in rows):
        methods = [row["method"] for row in rows if (row["volume"], row["noise"]) == (volume, noise)]
        there = kept_cases(out, volume, noise, ("clean", "noisy", *methods))
        folder = case_folder(out, volume, noise)
        if "clean" in there:
            paths.append(save_figure(comparison(there, f"{volume}, {noise}"), folder / "comparison.png"))
        if any(len(case.frequency) for case in there.values()):
            paths.append(save_figure(spectra(there, f"{volume}, {noise}"), folder / "spectra.png"))
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


def comparison(kept: dict[str, Kept], title: str, truth: str = "clean") -> Figure:
    """Draw one slice: the truth and every method's above, what is off from the truth below.

    Args:
        kept: by method, the truth among them.
        title: of the figure.
        truth: the name of what the others should be.
    """
    columns = len(kept)
    figure = new_figure(PANEL_INCHES * columns, 2 * PANEL_INCHES + 0.6)
    axes = figure.subplots(2, columns, squeeze=False)
    clean = kept[truth].hu.astype(np.float32)
    for (name, case), (above, below) in zip(kept.items(), axes.T, strict=True):
        show(above, case.hu, CHEST_WINDOW_HU, name)
        if name == truth:
            below.axis("off")
        else:
            show(below, np.clip(case.hu, *FULL_WINDOW_HU) - clean, (-DIFFERENCE_HU, DIFFERENCE_HU), f"minus {truth}")
    window = f"{CHEST_WINDOW_HU[0]:g} to {CHEST_WINDOW_HU[1]:g} HU, differences to ±{DIFFERENCE_HU:g} HU"
    figure.suptitle(f"{title}, slice {kept[truth].index}, window {window}", fontsize=9)
    return figure


def show(axis: Any, image: np.ndarray, window: tuple[float, float], title: str) -> None:
    """Draw one image in gray."""
    axis.imshow(image, cmap="gray", vmin=window[0], vmax=window[1], interpolation="none")
    axis.set_title(title, fontsize=8)
    axis.axis("off")


def _mean(values: Any) -> float:
    numbers = [float(v) for v in values if v is not None]
    return float(np.mean(numbers)) if numbers else float("nan")
