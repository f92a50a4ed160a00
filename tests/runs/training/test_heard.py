"""Of several processes of one training, the first tells of the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ctgrid.runs.training.run import train_model


@pytest.mark.parametrize(("rank", "told"), [("0", ["starting", "training"]), ("1", [])])
def test_the_first_process_is_heard(
    rank: str, told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []

    def train(kind: str, config: str, data: Path, folder: Path, *, progress: Any, **_: Any) -> dict[str, Any]:
        folder.mkdir(exist_ok=True)
        progress("training", 1, 1)
        return {}

    monkeypatch.setattr("ctgrid.methods.training.run.train", train)
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "2")
    train_model("stage1", tmp_path, tmp_path / "run", progress=lambda phase, done, total: heard.append(phase))
    assert heard == told
