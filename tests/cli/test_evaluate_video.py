"""``ctgrid evaluate video``: what it writes, says and refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid.data.video.write import write_video

Cli = Callable[..., Any]


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two clips that brighten by 10 a frame, and two that brighten by 30; no detector."""
    monkeypatch.setenv("CTGRID_HOME", str(tmp_path / "home"))
    for name, step in (("real", 10), ("fake", 30)):
        (tmp_path / name).mkdir()
        for i in range(2):
            frames = [np.full((16, 16, 3), (i + step * n, 40, step * n), np.uint8) for n in range(8)]
            write_video(frames, tmp_path / name / f"c{i}")
    return tmp_path / "real", tmp_path / "fake"


def test_results_table_record_and_report(folders: tuple[Path, Path], ctgrid: Cli, tmp_path: Path) -> None:
    """Flicker by length in the table; published figures of movies beside it in a report."""
    asked = ("--real", folders[0], "--fake", folders[1], "--frames", "4,16")
    done = ctgrid("evaluate", "video", *asked, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert [(row["frames"], round(row["real"], 2), round(row["fake"], 2)) for row in results["flicker"]] == [
        (4, 6.67, 20.0),
        (16, 6.67, 20.0),
    ]
    assert results["protocol"]["id"] == "gridit-video-256@1" and results["run"]["command"] == "evaluate video"
    table = (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    assert "Flicker" in table and "6.67" in table and "2 real and 2 generated clips." in table
    assert "Flicker" in done.stdout and "FVD: no i3d_torchscript.pt" in done.stderr
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert [entry["set"] for entry in record["inputs"]] == ["real", "real", "fake", "fake"]
    assert ctgrid("report", tmp_path / "out", "--out", tmp_path / "r.html").exit_code == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "SkyTimelapse, 256" in page and "Real and generated movies" in page
    assert ctgrid("evaluate", "video", *asked, "--out", tmp_path / "out").exit_code == 1  # nothing is overwritten


def test_wrong_usage(folders: tuple[Path, Path], fails: Cli, tmp_path: Path) -> None:
    """One line, and nothing is left."""
    asked = ("evaluate", "video", "--real", folders[0], "--fake", folders[1], "--out", tmp_path / "out")
    assert "unknown measure 'ct'" in fails(*asked, "--measures", "ct", code=2)
    assert "unknown layout of video clips" in fails(*asked, "--layout", "skies", code=2)
    assert "no protocol 'none'" in fails(*asked, "--protocol", "none")
    assert not (tmp_path / "out").exists()


def test_the_other_kind_of_set_is_sent_to_its_command(
    folders: tuple[Path, Path], scans: Callable[..., Path], fails: Cli, tmp_path: Path
) -> None:
    """Clips to ``evaluate video``, scans to ``evaluate volumes``."""
    real, fake = ("--real", folders[0]), ("--fake", scans("a", "b", slices=10))
    out = ("--out", tmp_path / "out", "--no-cache")
    assert "holds no scan but clips" in (said := fails("evaluate", "volumes", *real, *fake, *out))
    assert "ctgrid evaluate video compares those" in said
    assert "holds no clip but scans; ctgrid evaluate volumes compares" in fails("evaluate", "video", *real, *fake, *out)


def test_a_broken_movie_is_said_once(folders: tuple[Path, Path], ctgrid: Cli, tmp_path: Path) -> None:
    """On stderr, at the end; the table that is printed has it as a note."""
    (folders[1] / "broken.mp4").write_bytes(b"no movie")
    asked = ("--real", folders[0], "--fake", folders[1], "--frames", "4", "--measures", "flicker")
    done = ctgrid("evaluate", "video", *asked, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert done.stderr.count("broken.mp4") == done.stdout.count("broken.mp4") == 1
    assert done.stderr.strip().endswith("results.json holds the figures of the others")
