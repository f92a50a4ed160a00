"""Results as tables for people: Markdown, which reads well on a terminal too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("method", "method", ""),
    ("psnr", "PSNR dB", ".2f"),
    ("ssim", "SSIM", ".4f"),
    ("psnr_lung", "lung dB", ".2f"),
    ("ssim_lung", "lung SSIM", ".4f"),
    ("psnr_soft", "soft dB", ".2f"),
    ("ssim_soft", "soft SSIM", ".4f"),
    ("edge", "edges", ".3f"),
    ("edge_gain", "steepness", ".3f"),
    ("hu_bias_lung", "bias lung HU", "+.1f"),
    ("hu_bias_soft", "soft", "+.1f"),
    ("hu_bias_bone", "bone", "+.1f"),
    ("residual_soft", "noise left HU", ".1f"),
    ("seconds", "s", ".1f"),
)
"""Key of a row, heading, and how its numbers are written."""


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an aligned Markdown table: the first column to the left, the others to the right."""
    cells = [list(headings), *map(list, rows)]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(headings))]

    def line(row: Sequence[str]) -> str:
        padded = [
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join(":" + "-" * (w + 1) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return "\n".join([line(cells[0]), rule, *(line(row) for row in cells[1:])])


def number(value: Any, form: str) -> str:
    """Write a number, or a dash where there is none."""
    if value is None:
        return "-"
    return format(value, form) if form and isinstance(value, int | float) else str(value)


def denoising_tables(rows: Sequence[dict[str, Any]]) -> str:
    """Return one table for each volume and noise, the methods in the order they came, the best figures starred.

    Args:
        rows: as in ``results.json``.
    """
    parts = []
    for volume, noise in dict.fromkeys((row["volume"], row["noise"]) for row in rows):
        chosen = [row for row in rows if (row["volume"], row["noise"]) == (volume, noise)]
        best = {
            key: max((row[key] for row in chosen if _is_number(row[key])), default=None) for key in ("psnr", "ssim")
        }
        body = []
        for row in chosen:
            cells = [number(row.get(key), form) for key, _, form in COLUMNS]
            for i, (key, _, _) in enumerate(COLUMNS):
                if key in best and row[key] == best[key]:
                    cells[i] += "*"
            body.append(cells)
        title = f"{volume}, {noise}: {chosen[0]['noise_hu']:.0f} HU of noise, {chosen[0]['slices_measured']} slices"
        parts.append(f"{title}\n\n" + markdown([heading for _, heading, _ in COLUMNS], body))
    return "\n\n".join(parts)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
