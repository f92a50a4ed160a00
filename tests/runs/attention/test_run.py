"""`ctgrid attention`: a picture, a table of shares, a record; what there is not is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from ctgrid.base.errors import CtgridError
from ctgrid.runs.attention.picture import TILE_PX
from ctgrid.runs.attention.run import show_attention
from ctgrid_cli import app


def test_picture_and_shares(tiny_model: Path, tmp_path: Path) -> None:
    """One tile for a block and a level; the same from Python and the command line."""
    out, again = tmp_path / "a.png", tmp_path / "b.png"
    options = {"model": str(tiny_model), "timestep": (100, 900), "block": (0,), "steps": 2}
    record = show_attention(out, **options)
    with Image.open(out) as picture:
        assert picture.size == (TILE_PX, 2 * TILE_PX)
    rows = record.results["rows"]
    assert [(row["timestep"], row["block"]) for row in rows] == [(100, 0), (900, 0)]
    assert all(0 < row["same_place"] <= 1 and 0 < row["other_cells"] < 1 for row in rows)
    words = f"attention --out {again} --model {tiny_model} --timestep 100 --timestep 900 --block 0 --steps 2 --json"
    shown = CliRunner().invoke(app, words.split())
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["results"]["rows"] == rows
    assert again.read_bytes() == out.read_bytes()
    with pytest.raises(CtgridError, match="exists"):
        show_attention(out, **options)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"timestep": (1000,)}, "timestep must lie in 0 to 999"),
        ({"token": (99, 0, 0)}, "token 99,0,0 lies outside the grid"),
        ({"block": (99,)}, "block 99 is none of"),
    ],
)
def test_what_there_is_not(tiny_model: Path, tmp_path: Path, wrong: dict[str, object], line: str) -> None:
    """Refused with the values there are; nothing is written."""
    with pytest.raises(CtgridError, match=line):
        show_attention(tmp_path / "a.png", model=str(tiny_model), steps=1, **wrong)
    assert not list(tmp_path.iterdir())
