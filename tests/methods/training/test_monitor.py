"""Where a run's numbers go: JSON lines always, at full precision; services on request."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.methods.training.monitor import Journal
from ctgrid.methods.training.optimisation import Monitor


def test_steps_and_looks_are_lines_and_pictures(tmp_path: Path) -> None:
    with Journal(tmp_path, None, 0) as journal:
        journal.step({"step": 1, "loss": 1 / 3})
        journal.look(1, {}, None)
        journal.look(2, {"loss": 0.5}, torch.tensor([[-1.0, 0.0, 3.0]]))
        journal.step({"step": 2, "loss": 0.25})
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines == [{"step": 1, "loss": 1 / 3}, {"step": 2, "loss": 0.25}]
    assert json.loads((tmp_path / "validation.jsonl").read_text()) == {"step": 2, "loss": 0.5}
    with PIL.Image.open(tmp_path / "pictures" / "step_00000002.png") as picture:
        assert np.asarray(picture).tolist() == [[0, 128, 255]]
    assert [p.name for p in (tmp_path / "pictures").iterdir()] == ["step_00000002.png"]


@pytest.mark.parametrize(("error", "code"), [(None, 0), (KeyError("x"), 1)])
def test_a_service_is_told_by_group_and_how_it_ended(
    error: Exception | None, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    class Run:
        def log(self, values: dict[str, float], step: int) -> None:
            told.append((step, values))

        def finish(self, exit_code: int) -> None:
            told.append(exit_code)

    module = ModuleType("wandb")
    module.init = lambda **how: told.append(how["project"]) or Run()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    try:
        with Journal(tmp_path, Monitor(tensorboard=False, wandb="mine"), 0) as journal:
            journal.step({"step": 3, "loss": 0.5})
            journal.look(4, {"loss": 0.25}, None)
            if error:
                raise error
    except KeyError:
        pass
    assert told == ["mine", (3, {"train/loss": 0.5}), (4, {"validation/loss": 0.25}), code]


def test_a_service_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(CtgridError, match="pip install wandb"):
        Journal(tmp_path, Monitor(tensorboard=False, wandb="project"), 0)
