"""``ctgrid preview`` and ``report`` from Python: refused before any work, recorded beside what they write."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError, MisuseError
from ctgrid.runs.report.run import make_report, preview_volumes
from ctgrid.scan.volume import Volume

AFFINE = np.diag([-1.0, -1.0, 2.0, 1.0])


@pytest.fixture
def scan(tmp_path: Path, chest: Callable[..., np.ndarray]) -> Path:
    return Volume(chest((6, 16, 16)), AFFINE).write(tmp_path / "a.nii.gz")


def test_a_picture_lies_beside_the_scan_unless_told_otherwise(scan: Path, tmp_path: Path) -> None:
    record = preview_volumes(scan)
    assert (tmp_path / "a_preview.png").exists() and Path(record.outputs[0]["path"]).name == "a_preview.png"
    assert record.settings["volumes"] == ["a"] and "plane" not in record.settings
    assert record.inputs[0]["shape"] == (6, 16, 16) and record.decisions["hu"]["source"] == "stored"
    movie = preview_volumes(scan, tmp_path / "x.gif")
    assert movie.settings["plane"] == "axial" and movie.settings["fps"] > 0
    assert json.loads((tmp_path / "x.preview.run.json").read_text())["command"] == "preview"


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("x.pdf", {}, "must end in .*png"),
        ("x.png", {"plane": "axial"}, "--plane belongs to a .gif or .mp4"),
        ("x.html", {"fps": 5}, "--fps belongs to a .gif or .mp4"),
    ],
)
def test_wrong_usage_of_a_preview(name: str, settings: dict, words: str, scan: Path, tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match=words):
        preview_volumes(scan, tmp_path / name, **settings)
    assert [path.name for path in tmp_path.iterdir()] == ["a.nii.gz"]


def test_a_report_counts_what_it_holds(scan: Path, tmp_path: Path) -> None:
    """One source or several; the record names what was read and written."""
    seen: list[str] = []
    record = make_report(scan, tmp_path / "x.html", max_mb=16, progress=lambda phase, done, total: seen.append(phase))
    assert record.results == {"volumes": 1, "pairs": 0, "results": 0, "runs": 0, "notes": []} and seen
    assert [Path(one["path"]).name for one in record.outputs] == ["x.html", "x.md", "x.json"]
    assert [one["path"] for one in record.inputs] == [str(scan)]
    with pytest.raises(CtgridError, match=r"x\.html.*--overwrite"):
        make_report([scan], tmp_path / "x.html")
    again = make_report([scan, scan], tmp_path / "x.html", overwrite=True)
    assert again.results["volumes"] == 1, "named twice, shown once"
    assert (tmp_path / "x.report.run-1.json").exists()


def test_a_report_is_a_page(scan: Path, tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match=r"must end in \.html"):
        make_report(scan, tmp_path / "x.pdf")
    with pytest.raises(CtgridError, match="does not exist"):
        make_report(tmp_path / "none", tmp_path / "x.html")
    with pytest.raises(CtgridError, match="does not exist"):
        preview_volumes(tmp_path / "none.nii", tmp_path / "x.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.nii.gz"]
