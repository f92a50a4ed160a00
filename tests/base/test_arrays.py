"""Arrays that were put aside come back as they are, or the file is named in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctgrid.base.arrays import read_npz
from ctgrid.base.errors import CtgridError


def test_arrays_come_back(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", hu=np.arange(3), n=7)
    hu, n = read_npz(tmp_path / "a.npz", "hu", "n")
    assert hu.tolist() == [0, 1, 2] and int(n) == 7


def test_what_is_no_whole_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pickled objects too: they would run code."""
    path = tmp_path / "a.npz"
    np.savez(path, hu=np.array([{}], object))
    with pytest.raises(CtgridError, match=r"a\.npz is not a whole \.npz file: .*pickle.*; remove it"):
        read_npz(path, "hu")
    with pytest.raises(CtgridError, match="not a whole"):
        read_npz(path, "other")
    path.write_bytes(path.read_bytes()[:90])
    with pytest.raises(CtgridError, match="not a whole"):
        read_npz(path, "hu")
    np.savez_compressed(path, hu=np.zeros(10000))
    monkeypatch.setenv("CTGRID_MAX_BYTES", "9999")
    with pytest.raises(CtgridError, match="CTGRID_MAX_BYTES"):
        read_npz(path, "hu")
