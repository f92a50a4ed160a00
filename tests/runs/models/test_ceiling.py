"""``ctgrid model ceiling`` from Python: a record, on the disk only where a place is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.models.ceiling import measure_ceiling
from ctgrid.scan.volume import Volume


@pytest.fixture
def scan(tmp_path: Path, chest_volume: Volume) -> Path:
    return chest_volume.write(tmp_path / "a.nii.gz")


def test_figures_of_the_chosen_slices(scan: Path, tiny_model: Path, tmp_path: Path) -> None:
    codec = str(tiny_model / "codec")
    record = measure_ceiling(scan, codec=codec, size=64, slices=slice(2, 9, 3), device="cpu")
    assert record.status == "done" and record.ended is not None and not record.written
    assert record.results["slices"] == [2, 5, 8] and record.settings["slices"] == "2:9:3"
    assert np.isfinite(record.results["full"]["psnr_db"]) and {"read", "load"} < set(record.phases)
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii.gz"]
    kept = measure_ceiling(scan, tmp_path / "c.json", codec=codec, size=64, slices=slice(2, 9, 3), device="cpu")
    told = json.loads((tmp_path / "c.json").read_text())
    assert told["results"] == json.loads(json.dumps(kept.results)) and told["results"]["full"] == record.results["full"]
    with pytest.raises(CtgridError, match=r"c\.json.*exists"):
        measure_ceiling(scan, tmp_path / "c.json", codec=codec, size=64)


def test_refused_before_the_scan_is_read(tmp_path: Path) -> None:
    for out, codec, words in (("c.txt", "embedded", r"must end in \.json"), (None, "nowhere", "nowhere")):
        with pytest.raises(CtgridError, match=words):
            measure_ceiling(tmp_path / "none.nii", None if out is None else tmp_path / out, codec=codec)
    with pytest.raises(CtgridError, match=r"none\.nii"):
        measure_ceiling(tmp_path / "none.nii")
    assert list(tmp_path.iterdir()) == []
