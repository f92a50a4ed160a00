"""Results of a super-resolution evaluation for people: a table, and a picture of every volume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.runs.evaluation.keep import case_folder, kept_cases
from ctgrid.runs.evaluation.plots import comparison, save_figure
from ctgrid.runs.evaluation.super_resolution import SETTING, TRUTH, condition_of
from ctgrid.runs.evaluation.table import markdown, number

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("psnr", "PSNR dB", ".2f"),
    ("ssim", "SSIM", ".4f"),
    ("ms_ssim", "MS-SSIM", ".4f"),
    ("psnr_lung", "lung dB", ".2f"),
    ("ssim_lung", "lung SSIM", ".4f"),
    ("psnr_soft", "soft dB", ".2f"),
    ("ssim_soft", "soft SSIM", ".4f"),
    ("edge", "edges", ".3f"),
    ("edge_gain", "steepness", ".3f"),
    ("seconds", "s", ".1f"),
)
"""Key of a row, heading, and how its numbers are written."""


def super_resolution_tables(rows: Sequence[dict[str, Any]]) -> str:
    """Return a table of each volume, and of the mean over volumes where there are several, setting by setting.

    Args:
        rows: as in ``results.json``.
    """
    parts = []
    for setting in dict.fromkeys(_setting(row) for row in rows):
        alike = [row for row in rows if _setting(row) == setting]
        volumes = list(dict.fromkeys(row["volume"] for row in alike))
        for volume in volumes:
            chosen = [row for row in alike if row["volume"] == volume]
            parts.append(f"{volume}: {_title(chosen[0])}\n\n{_table(chosen)}")
        if len(volumes) > 1:
            parts.append(f"mean of {len(volumes)} volumes\n\n{_table(means_of(alike))}")
    return "\n\n".join(parts)


def means_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each method that every volume has: the mean over volumes."""
    volumes = {row["volume"] for row in rows}
    means = []
    for method in dict.fromkeys(row["method"] for row in rows):
        chosen = [row for row in rows if row["method"] == method]
        if {row["volume"] for row in chosen} != volumes:
            continue
        means.append({"method": method, **{key: _mean([row.get(key) for row in chosen]) for key, _, _ in COLUMNS}})
    return means


def draw_super_resolution(rows: Sequence[dict[str, Any]], out: Path) -> list[Path]:
    """Draw the middle slice of every volume: the original, every method's, and what each is off.

    Args:
        rows: as in ``results.json``.
        out: the evaluation's folder.

    Returns:
        The files written.
    """
    paths = []
    for volume, condition in dict.fromkeys((row["volume"], _condition(row)) for row in rows):
        methods = [row["method"] for row in rows if (row["volume"], _condition(row)) == (volume, condition)]
        there = kept_cases(out, volume, condition, (TRUTH, *methods))
        if TRUTH in there:
            truth = there[TRUTH]  # the last run's; a method that only other settings measured kept another slice
            shown = (truth.index, truth.hu.shape)
            there = {name: case for name, case in there.items() if (case.index, case.hu.shape) == shown}
            figure = comparison(there, f"{volume}, {condition} super-resolution", truth=TRUTH)
            paths.append(save_figure(figure, case_folder(out, volume, condition) / "comparison.png"))
    return paths


def _setting(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[key] for key in SETTING)


def _title(row: dict[str, Any]) -> str:
    low, high = row["window_hu"]
    way = " through the codec" if row["through_codec"] else ""
    return (
        f"{row['slices_measured']} slices ({row['slices']}) of {row['size'] // row['k']} brought back to {row['size']} "
        f"pixels{way}; PSNR and SSIM over {low:g} to {high:g} HU"
    )


def _condition(row: dict[str, Any]) -> str:
    return condition_of(row["k"], row["through_codec"])


def _table(rows: Sequence[dict[str, Any]]) -> str:
    body = [[row["method"], *(number(row.get(key), form) for key, _, form in COLUMNS)] for row in rows]
    return markdown(["method", *(heading for _, heading, _ in COLUMNS)], body)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if isinstance(v, int | float)]
    return float(np.mean(known)) if known else None
