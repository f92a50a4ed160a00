"""What is kept of every case for pictures and plots: one slice, and the spectrum of what noise is left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctgrid.base.arrays import read_npz
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_output
from ctgrid.scan.volume import cast_hu


@dataclass(frozen=True)
class Kept:
    """One method's share of a case.

    Attributes:
        index: the slice.
        hu: (y, x) int16.
        frequency: (m,) in 1/mm, empty where there is no spectrum.
        power: (m,) NPS in HU² mm².
    """

    index: int
    hu: np.ndarray
    frequency: np.ndarray
    power: np.ndarray


def case_folder(out: Path, volume: str, condition: str) -> Path:
    """Return where a case's files lie; its condition is the kind and level of noise, say."""
    return out / "cases" / volume / condition.replace(":", "-")


def keep_case(
    out: Path,
    volume: str,
    condition: str,
    method: str,
    indices: np.ndarray,
    hu: np.ndarray,
    spectrum: tuple[np.ndarray, np.ndarray] | None = None,
) -> None:
    """Keep the middle one of the measured slices.

    Args:
        out: the evaluation's folder.
        volume: name of the scan.
        condition: kind and level of noise, or how slices were shrunk.
        method: name, or "clean".
        indices: (m,) measured slices.
        hu: (m, y, x).
        spectrum: frequencies and NPS.
    """
    folder = case_folder(out, volume, condition)
    folder.mkdir(parents=True, exist_ok=True)
    middle = len(indices) // 2
    frequency, power = spectrum if spectrum is not None else (np.empty(0), np.empty(0))
    with atomic_output(folder / f"{method}.npz", overwrite=True) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream, index=int(indices[middle]), hu=cast_hu(hu[middle], np.int16), frequency=frequency, power=power
        )


def kept_case(out: Path, volume: str, condition: str, method: str) -> Kept | None:
    """Return what was kept, or None where nothing was."""
    path = case_folder(out, volume, condition) / f"{method}.npz"
    if not path.exists():
        return None
    index, hu, frequency, power = read_npz(path, "index", "hu", "frequency", "power")
    if index.shape or index.dtype.kind not in "iu" or hu.ndim != 2:
        raise CtgridError(f"{path} is not what an evaluation keeps; remove it to have it made anew")
    return Kept(int(index), hu, frequency, power)


def kept_cases(out: Path, volume: str, condition: str, methods: Iterable[str]) -> dict[str, Kept]:
    """Return what is kept of several methods, by their names; those that left nothing are missing."""
    found = {name: kept_case(out, volume, condition, name) for name in methods}
    return {name: case for name, case in found.items() if case is not None}
