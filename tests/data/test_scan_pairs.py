"""Slices of a paired set: clean and noisy belong together, from the feet, whatever way the files lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctgrid import Volume
from ctgrid.base.errors import CtgridError
from ctgrid.data.pair_table import PAIRS, ScanPair, write_pairs
from ctgrid.data.scan_pairs import ScanPairs

AFFINE = np.diag([0.8, -0.8, -2.5, 1.0])  # from the head down


def write(folder: Path, name: str, depth: int, plus: int = 0, affine: np.ndarray = AFFINE) -> Path:
    hu = np.arange(depth * 48, dtype=np.int16).reshape(depth, 6, 8) + np.int16(plus)
    return Volume(hu, affine).write(folder / name)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    pairs = []
    for number, depth in enumerate((3, 2)):
        clean = write(tmp_path, f"{number}.nii", depth, 100 * number)
        noisy = write(tmp_path, f"{number}_low.nii", depth, 100 * number + 7)
        pairs.append(ScanPair(clean, noisy, 0.5, 0.8, "scan", 1e5, 1, depth, None, "c", "d"))
    write_pairs(tmp_path / PAIRS, pairs)
    return tmp_path / PAIRS


def test_slices_belong_together(table: Path) -> None:
    pairs = ScanPairs(table)
    assert len(pairs) == 5
    for index in range(5):
        item = pairs[index]
        assert item["clean"].shape == (1, 6, 8) and float((item["noisy"] - item["clean"]).mean()) == 7
    assert (float(pairs[0]["dose"]), pairs[0]["name"], int(pairs[4]["z_index"])) == (0.5, "0_low.nii", 1)
    assert pairs[0]["clean"].min() > pairs[2]["clean"].max() - 1  # the feet lie last in the file
    with pytest.raises(IndexError):
        pairs[5]


def test_what_does_not_belong_together(table: Path) -> None:
    write(table.parent, "moved.nii", 3, affine=np.diag([0.8, -0.8, -2.0, 1.0])).replace(table.parent / "0_low.nii")
    with pytest.raises(CtgridError, match="does not lie on the grid"):
        ScanPairs(table)[0]
    table.write_text(table.read_text().splitlines()[0] + "\n")
    with pytest.raises(CtgridError, match="lists no pairs"):
        ScanPairs(table)
