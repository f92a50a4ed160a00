"""The table of a paired set: which noisy scan belongs to which clean one, and how the noise came about."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_output

PAIRS = "pairs.csv"
"""The table's name in a folder of noisy scans."""


@dataclass(frozen=True)
class ScanPair:
    """A clean scan and a noisy version of it on the same grid; the fields are the table's columns.

    Attributes:
        clean: path of the clean scan; in the file, relative to the table where that is possible.
        noisy: likewise of the noisy one.
        dose: as a share of the clean scan's.
        cutoff_per_mm: of the kernel, where the reconstruction's window reaches 0.
        kernel: ``scan`` where the cut-off follows from the scan's own noise, else ``given``.
        photons: per ray at full dose.
        seed: of the noise.
        slices: of the scan.
        added_hu: standard deviation of what was added in soft tissue, HU; empty where there is none.
        clean_sha256: of the clean scan's file, or of the list of its folder's files.
        noisy_sha256: likewise of the noisy one.
    """

    clean: Path
    noisy: Path
    dose: float
    cutoff_per_mm: float
    kernel: str
    photons: float
    seed: int
    slices: int
    added_hu: float | None
    clean_sha256: str
    noisy_sha256: str


_NUMBERS = {"dose": float, "cutoff_per_mm": float, "photons": float, "seed": int, "slices": int}


def write_pairs(table: Path, pairs: Iterable[ScanPair]) -> None:
    """Write a table, whole or not at all, in place of an older one."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(ScanPair)]
    writer.writerow(names)
    for pair in pairs:
        row: dict[str, Any] = {name: getattr(pair, name) for name in names}
        row |= {name: _relative(row[name], table.parent) for name in ("clean", "noisy")}
        writer.writerow(["" if row[name] is None else row[name] for name in names])
    with atomic_output(table, overwrite=True) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", errors="surrogateescape")


def read_pairs(table: str | Path) -> list[ScanPair]:
    """Read a table, or that in a folder; paths come back as they can be opened from here.

    Raises:
        CtgridError: where it is not there, is no such table, or a row cannot be read.
    """
    path = Path(table)
    path = path / PAIRS if path.is_dir() else path
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8", errors="surrogateescape"))))
    except (OSError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise CtgridError(f"cannot read {path}: {reason}; a table of pairs is made by simulate low-dose") from error
    return [_pair(path, number, row) for number, row in enumerate(rows, start=2)]


def _pair(path: Path, line: int, row: dict[str, Any]) -> ScanPair:
    """Return a row as a pair."""
    missing = [field.name for field in fields(ScanPair) if not row.get(field.name) and field.name != "added_hu"]
    if missing:
        raise CtgridError(f"{path}, line {line} has no {missing[0]}; a table of pairs is made by simulate low-dose")
    values: dict[str, Any] = {field.name: row[field.name] for field in fields(ScanPair)}
    try:
        values |= {name: kind(float(row[name])) for name, kind in _NUMBERS.items()}
        values["added_hu"] = float(row["added_hu"]) if row.get("added_hu") else None
    except (ValueError, OverflowError) as error:
        raise CtgridError(f"{path}, line {line}: {error}") from error
    values |= {name: path.parent / row[name] for name in ("clean", "noisy")}
    return ScanPair(**values)


def _relative(path: Path, folder: Path) -> str:
    """Return a path as seen from a folder, so that both can be moved together; on other drives, as it is."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return str(path)
