"""``ctgrid preview``: a picture and its own record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image


def test_picture_and_record(ctgrid: Callable[..., Any], scan: Path, tmp_path: Path) -> None:
    """The record does not displace that of the volume."""
    (tmp_path / "run.json").write_text("the volume's")
    out = tmp_path / "look.png"
    result = ctgrid("preview", scan, "--out", out, "--window", "-1000,1000")
    assert (result.exit_code, result.stderr) == (0, "")
    with Image.open(out) as picture:
        assert picture.width > picture.height > 500
    assert (tmp_path / "run.json").read_text(encoding="utf-8") == "the volume's"
    record = json.loads((tmp_path / "look.preview.run.json").read_text(encoding="utf-8"))
    assert record["settings"]["window_hu"] == [-1000.0, 1000.0]
    assert record["inputs"][0]["path"] == str(scan)


def test_overwrite_and_json(ctgrid: Callable[..., Any], scan: Path, tmp_path: Path) -> None:
    """``--overwrite`` replaces the picture and keeps the older record."""
    out = tmp_path / "look.png"
    out.write_text("old")
    result = ctgrid("preview", scan, "--out", out, "--overwrite", "--json")
    assert json.loads(result.stdout)["command"] == "preview"
    assert out.read_bytes()[:4] == b"\x89PNG"
    ctgrid("preview", scan, "--out", out, "--overwrite")
    assert (tmp_path / "look.preview.run-1.json").is_file()


def test_a_movie_of_a_plane(ctgrid: Callable[..., Any], scan: Path, tmp_path: Path) -> None:
    """Plane and rate go into the record."""
    out = tmp_path / "look.gif"
    result = ctgrid("preview", scan, "--out", out, "--plane", "coronal", "--fps", 8, "--json")
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    assert (record["settings"]["plane"], record["settings"]["fps"]) == ("coronal", 8.0)
    with Image.open(out) as movie:
        assert movie.n_frames > 1 and movie.info["duration"] >= 120


def test_a_folder_of_volumes(ctgrid: Callable[..., Any], scan: Path, tmp_path: Path) -> None:
    """The first, those named, or all; every one is an input of the record."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.nii.gz").write_bytes(scan.read_bytes())
    for options, count in (([], 1), (["--name", "b"], 1), (["--all"], 2)):
        result = ctgrid("preview", folder, "--out", tmp_path / "x.png", "--overwrite", "--json", *options)
        assert result.exit_code == 0, result.stderr
        assert len(json.loads(result.stdout)["inputs"]) == count


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--out", "x.jpg"], "--out"),
        (["--out", "x"], "--out"),
        (["--out", "x.png", "--plane", "axial"], "--plane"),
        (["--out", "x.html", "--fps", "5"], "--fps"),
        (["--out", "x.gif", "--fps", "0"], "--fps"),
        (["--out", "x.png", "--name", "a", "--all"], "--name"),
    ],
)
def test_wrong_usage(options: list[str], named: str, fails: Callable[..., str], scan: Path) -> None:
    """Exit code 2, and the option's name."""
    assert named in fails("preview", scan, *options, code=2)


def test_a_name_that_is_not_there(fails: Callable[..., str], scan: Path, tmp_path: Path) -> None:
    """Exit code 1, and the names that are."""
    assert "it has scan" in fails("preview", scan.parent, "--out", tmp_path / "x.png", "--name", "scam")
