"""Looking at a run: held-out losses and pictures, written down, and nothing of the run disturbed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor, nn

from ctgrid.base.draws import normal
from ctgrid.methods.training.loop import fit
from ctgrid.methods.training.optimisation import Monitor, Optimisation, Validation


class Line:
    """Fit y = 2 x + shift; draws a picture of its weight."""

    def __init__(self, shift: float) -> None:
        self.shift = shift
        self.drawn: list[float] = []

    def build(self) -> nn.Module:
        return nn.Linear(1, 1)

    def example(self, generator: torch.Generator) -> dict[str, Tensor]:
        x = normal((1,), generator)
        self.drawn.append(float(x))
        return {"x": x, "y": 2 * x + self.shift}

    def loss(self, network: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        error = network(batch["x"]) - batch["y"]
        return {"loss": error.square().mean(), "bias": error.mean()}

    def save(self, network: Any, folder: Path) -> None:
        folder.mkdir()
        torch.save(network.state_dict(), folder / "weights.pt")

    def picture(self, network: Any, generator: torch.Generator, steps: int) -> Tensor:
        return torch.full((4, 6), float(network.weight.detach())) + 0 * normal((4, 6), generator)


SETTINGS = Optimisation(steps=6, batch_size=3, learning_rate=0.05, checkpoint_every=2, ema_decay=0.5)


def lines(path: Path) -> list[dict[str, float]]:
    """Read JSON lines without their times."""
    read = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in read]


def start(out: Path, **options: Any) -> Path:
    """Train into a folder and return it."""
    out.mkdir(exist_ok=True)
    fit(Line(1.0), SETTINGS, 3, out, **options)
    return out


def test_looking_changes_nothing_and_is_written_down(tmp_path: Path) -> None:
    plain = start(tmp_path / "plain")
    held_out = Line(1.5)
    seen = start(tmp_path / "seen", validation=Validation(every=2, examples=8), held_out=held_out)
    assert lines(seen / "log.jsonl") == lines(plain / "log.jsonl")
    looks = lines(seen / "validation.jsonl")
    assert [look["step"] for look in looks] == [2, 4, 6]
    assert looks[-1]["loss"] < looks[0]["loss"]
    assert held_out.drawn[:9] == held_out.drawn[9:18] == held_out.drawn[18:], "always the same examples"
    weight = torch.load(seen / "model" / "weights.pt")["weight"].item()
    picture = np.asarray(PIL.Image.open(seen / "pictures" / "step_00000006.png"))
    assert picture.shape == (4, 6)
    assert picture[0, 0] == round((np.clip(weight, -1, 1) + 1) * 127.5), "drawn with the averaged weights"


def test_validation_examples_are_not_those_of_training(tmp_path: Path) -> None:
    held_out, out = Line(1.0), tmp_path / "run"
    out.mkdir()
    task = Line(1.0)
    fit(task, SETTINGS, 3, out, validation=Validation(every=6, examples=6), held_out=held_out)
    assert not set(held_out.drawn) & set(task.drawn)


def test_a_resumed_run_has_every_look_once(tmp_path: Path) -> None:
    look = {"validation": Validation(every=1, examples=3), "held_out": Line(0.0)}
    whole = start(tmp_path / "whole", **look)
    parts = start(tmp_path / "parts", **look, stop_at=4)
    with (parts / "validation.jsonl").open("a") as torn:
        torn.write('{"step": 5, "loss": 0.0}\n{"step"')
    start(parts, **look, resume=True)
    assert lines(parts / "validation.jsonl") == lines(whole / "validation.jsonl")


def test_tensorboard_gets_losses_and_pictures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = start(tmp_path / "run", monitor=Monitor(), validation=Validation(every=3, examples=3), held_out=Line(0.0))
    events = EventAccumulator(str(out / "tensorboard")).Reload()
    assert [e.step for e in events.Scalars("train/loss")] == [1, 2, 3, 4, 5, 6]
    assert [e.step for e in events.Scalars("validation/loss")] == [3, 6]
    assert [e.step for e in events.Images("sample")] == [3, 6]
    logged = [line["loss"] for line in lines(out / "log.jsonl")]
    assert [e.value for e in events.Scalars("train/loss")] == pytest.approx(logged)
