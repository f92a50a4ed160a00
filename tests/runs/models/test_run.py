"""``ctgrid model pack`` and ``convert`` from Python: a folder, and a record that says what went in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.runs.models.run import convert_model, pack_model
from ctgrid.stages.weights.load import load_dit


def test_parts_are_packed_and_recorded(tiny_model: Path, tmp_path: Path) -> None:
    parts = {part: tiny_model / part for part in ("codec", "stage1", "stage2")}
    record = pack_model(tmp_path / "packed", **parts)
    assert [entry["part"] for entry in record.inputs] == [entry["part"] for entry in record.outputs] == list(parts)
    assert [one["sha256"] for one in record.inputs] == [one["sha256"] for one in record.outputs], "the same weights"
    told = json.loads((tmp_path / "packed" / "run.json").read_text())
    assert told["settings"] == {**{p: str(v) for p, v in parts.items()}, "gaps": None, "detail": None, "half": False}
    with pytest.raises(CtgridError, match="exists"):
        pack_model(tmp_path / "packed", **parts)
    with pytest.raises(CtgridError, match="codec, stage1, stage2 must be given"):
        pack_model(tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_checkpoint_becomes_a_folder_with_what_was_decided(tiny_model: Path, tmp_path: Path) -> None:
    record = convert_model(tiny_model / "stage1", tmp_path / "out")
    assert "facts" in record.decisions and record.model["parameters"] > 1000
    assert {Path(one["path"]).name for one in record.outputs} >= {"config.json", "stage.json"}
    assert "run.json" not in {Path(one["path"]).name for one in record.outputs}
    before, after = (load_dit(folder).state_dict() for folder in (tiny_model / "stage1", tmp_path / "out"))
    assert all(torch.equal(before[name], after[name]) for name in before)
    with pytest.raises(CtgridError):
        convert_model(tmp_path / "none.pt", tmp_path / "no")
    assert not (tmp_path / "no").exists()
