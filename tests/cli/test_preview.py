"""``ctgrid preview``: a picture and its own record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
