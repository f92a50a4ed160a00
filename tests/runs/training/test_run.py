"""``ctgrid train`` and ``plan`` from Python: what reaches the trainer, and a record of how it ended."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError, CtgridWarning
from ctgrid.runs.training.run import plan_training, train_model


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Put a trainer in place that does nothing; return what it was asked, and how it shall end."""
    told: dict[str, Any] = {"phase": "training", "error": None}

    def train(kind: str, config: str, data: Path, out: Path, *, progress: Any, **options: Any) -> dict[str, Any]:
        out.mkdir(exist_ok=True)
        told.update(kind=kind, config=config, data=data, out=out, **options)
        progress(told["phase"], 1, 2)
        warnings.warn("a checkpoint is damaged", CtgridWarning, stacklevel=1)
        if told["error"]:
            raise told["error"]
        return {"steps": 3}

    module = ModuleType("ctgrid.methods.training.run")
    module.train = train  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return told


def test_settings_become_the_trainers(trainer: dict[str, Any], tmp_path: Path) -> None:
    """What has a setting of its own is an override; warnings are told, and kept in the record."""
    given: Any = {"gray": True, "init": "DiT.pt", "overrides": ("a.b=[1, x]",), "seed": 4}
    with pytest.warns(CtgridWarning, match="damaged"):
        record = train_model("stage1", tmp_path, tmp_path / "run", **given)
    assert trainer["config"] == "embedded-stage1" and trainer["seed"] == 4
    assert trainer["overrides"] == {"a.b": [1, "x"], "stage1.video.gray": True, "stage1.start": "DiT.pt"}
    assert record.decisions["warnings"] == ["a checkpoint is damaged"]
    assert record.results == {"steps": 3} and (tmp_path / "run" / "run.json").is_file()


@pytest.mark.parametrize(("phase", "kept"), [("reading volumes", False), ("training", True)])
def test_a_run_that_ends_early_is_recorded_once_it_has_trained(
    phase: str, kept: bool, trainer: dict[str, Any], tmp_path: Path
) -> None:
    trainer |= {"phase": phase, "error": KeyboardInterrupt()}
    (tmp_path / "run").mkdir()
    with pytest.raises(KeyboardInterrupt), pytest.warns(CtgridWarning):
        train_model("codec", tmp_path, tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    assert path.exists() == kept
    if kept:
        assert json.loads(path.read_text())["status"] == "interrupted"


def test_the_run_folder_is_checked_first(trainer: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match="does not exist"):
        train_model("codec", tmp_path, tmp_path / "no" / "run")
    assert "kind" not in trainer


def test_a_plan_needs_a_recipe_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match="config must be given"):
        plan_training()
    found = plan_training(config="embedded-codec", flops_per_second=1e10, overrides=("optimisation.batch_size=1",))
    assert found.parameters > 1000 and found.seconds_per_step == pytest.approx(found.flops_per_step / 1e10, rel=1e-3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("rank", "told"), [("0", ["starting", "training"]), ("1", [])])
def test_the_first_process_is_heard(
    rank: str, told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several processes of one training, the first tells of the work."""
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
