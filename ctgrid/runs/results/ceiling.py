"""What ``ctgrid model ceiling`` finds: how well a codec gives slices back, by the way they are encoded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctgrid.runs.results.description import Description, Kind
from ctgrid.runs.results.table import Column, Table

WAYS = (("full", "full slices", "size"), ("cells", "cells, one by one", "cell"), ("grids", "cells in grids", "cell"))
"""Key of the figures, words, and the key of their side in pixels."""


def describe(content: Mapping[str, Any]) -> Description:
    """Return one row for each way of encoding, with PSNR and SSIM in every window."""
    windows = content["full"]["windows"]
    numbers = content["slices"]
    columns = [Column("way", "what is encoded")]
    for name, window in windows.items():
        low, high = window["window_hu"]
        columns.append(Column(f"psnr {name}", f"{name.replace('_', ' ')} [{low:g}, {high:g}] HU, PSNR dB", ".2f"))
        columns.append(Column(f"ssim {name}", "SSIM", ".4f"))
    columns += [
        Column("bias_hu", "bias HU", ".2f"),
        Column("worst_slice", "worst slice"),
        Column("worst_psnr_db", "its PSNR dB", ".2f"),
    ]
    rows = []
    for key, words, side in WAYS:
        figures = content[key]
        row: dict[str, Any] = {"way": f"{words}, {content[side]} px"}
        row |= {name: figures[name] for name in ("bias_hu", "worst_slice", "worst_psnr_db")}
        for name, window in figures["windows"].items():
            row |= {f"psnr {name}": window["psnr_db"], f"ssim {name}": window["ssim"]}
        rows.append(row)
    title = f"{len(numbers)} slices of {numbers[0]} to {numbers[-1]}, from the feet"
    return Description("Codec ceiling", [Table(title, columns, rows)], beside=CEILING.name)


def recognises(content: Any) -> bool:
    """Tell the figures of a ceiling."""
    keys = {"slices", "size", "cell"} | {key for key, _, _ in WAYS}
    whole = isinstance(content, dict) and keys <= set(content) and bool(content["slices"])
    return whole and all(isinstance(content[key], dict) and "windows" in content[key] for key, _, _ in WAYS)


CEILING = Kind("ceiling", recognises, describe, files=())
