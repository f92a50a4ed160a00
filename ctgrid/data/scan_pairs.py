"""Slices of a paired set, for training in PyTorch: what is noisy and what is clean, in HU, on the same pixels."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from ctgrid.base.errors import CtgridError
from ctgrid.data.pair_table import ScanPair, read_pairs
from ctgrid.scan.hu.metadata import MetadataTable
from ctgrid.scan.volume import Volume


class ScanPairs(Dataset[dict[str, Any]]):
    """The axial slices of all pairs of a table, pair by pair, each from the feet.

    One pair is in memory at a time, so draw slices of a pair together, or copy what fits.
    """

    def __init__(self, table: str | Path, *, hu: str = "auto", metadata: Sequence[Path] = ()) -> None:
        """Read the table; no scan yet.

        Args:
            table: that ``simulate low-dose`` wrote, or its folder.
            hu: how the clean scans' values become HU.
            metadata: tables of their collection.

        Raises:
            CtgridError: where the table cannot be read or lists nothing.
        """
        self.pairs = read_pairs(table)
        if not self.pairs:
            raise CtgridError(f"{table} lists no pairs")
        self._hu, self._table = hu, MetadataTable.read_all(metadata)
        self._ends = list(accumulate(pair.slices for pair in self.pairs))
        self._open: tuple[int, np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return ``noisy`` and ``clean``, (1, H, W) float32 in HU, ``dose`` (), ``z_index`` () and ``name``."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = bisect_right(self._ends, index)
        pair, z = self.pairs[number], index - (self._ends[number] - self.pairs[number].slices)
        if self._open is None or self._open[0] != number:
            self._open = (number, *self._read(pair))
        _, clean, noisy = self._open
        return {
            "noisy": torch.from_numpy(noisy[z].astype(np.float32))[None],
            "clean": torch.from_numpy(clean[z].astype(np.float32))[None],
            "dose": torch.tensor(pair.dose),
            "z_index": torch.tensor(z),
            "name": pair.noisy.name,
        }

    def _read(self, pair: ScanPair) -> tuple[np.ndarray, np.ndarray]:
        clean = Volume.read(pair.clean, hu=self._hu, metadata=self._table).reoriented("LPS")
        noisy = Volume.read(pair.noisy).reoriented("LPS")
        if clean.shape != noisy.shape or not np.allclose(clean.affine, noisy.affine, atol=1e-3):
            raise CtgridError(f"{pair.noisy} does not lie on the grid of {pair.clean}")
        return clean.hu, noisy.hu
