"""Pictures of position codes: what 3-D and 2-D tables say of places, with absolute z too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from ctgrid.runs.attention.picture import TILE_PX
from ctgrid.runs.attention.positions import position_codes
from ctgrid.runs.attention.run import show_attention
from ctgrid.stages.models.facts import StageFacts
from ctgrid.stages.networks.dit import DiT
from ctgrid_cli import app


def network(**config: object) -> DiT:
    return DiT(16, 4, width=48, depth=1, heads=3, cells_per_side=4, patch_size=2, **config)  # type: ignore[arg-type]


def test_codes_of_the_paper_tell_cell_and_place_apart() -> None:
    """Depth alone differs between cells, height and width alone inside one; a 2-D table knows no cells."""
    found = position_codes(network(), StageFacts(size=128, k=4))
    assert list(found.parts) == ["whole", "depth", "height", "width"] and len(found.codes) == 64
    rows = {row["part"]: row for row in found.rows(42)}
    assert rows["depth"]["own_cell"] == pytest.approx(1) and rows["depth"]["same_place"] < 0.95
    assert all(rows[part]["same_place"] == pytest.approx(1) for part in ("height", "width"))
    assert rows["whole"]["same_place"] > rows["whole"]["elsewhere"]
    flat = position_codes(network(positions="2d"), StageFacts(size=128, k=4))
    assert list(flat.parts) == ["whole", "column", "row"]
    table = {row["part"]: row for row in flat.rows(42)}
    assert abs(table["whole"]["same_place"] - table["whole"]["elsewhere"]) < 0.01  # no cell knows its like elsewhere


def test_absolute_z_spreads_the_cells_over_the_volume() -> None:
    relative = position_codes(network(), StageFacts(k=4, slices=160))
    absolute = position_codes(network(absolute_z=True), StageFacts(k=4, slices=160))
    depth = relative.parts["depth"]
    assert not torch.equal(relative.codes[:, depth], absolute.codes[:, depth])
    assert torch.equal(relative.codes[:, depth.stop :], absolute.codes[:, depth.stop :])


def test_picture_of_any_model(make_model: Callable[..., Path], tmp_path: Path) -> None:
    """Of video too; the same from Python and the command line; attention itself as well."""
    model = make_model(absolute_z=False, content="video")
    record = show_attention(tmp_path / "a.png", model=str(model), positions=True)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (4 * TILE_PX, TILE_PX)
        assert picture.getextrema()[0][1] == 255
    words = f"attention --positions --out {tmp_path / 'b.png'} --stage1 {model / 'stage1'} --token 3,0,0"
    shown = CliRunner().invoke(app, words.split())
    assert shown.exit_code == 0 and "depth: likeness to the same place in other cells" in shown.stdout
    saved = json.loads((tmp_path / "a.run.json").read_text(encoding="utf-8"))
    assert saved["results"]["rows"] == record.results["rows"]
    looked = show_attention(tmp_path / "c.png", model=str(model), timestep=(500,), block=(0,), steps=1)
    assert 0 < looked.results["rows"][0]["same_place"] <= 1
