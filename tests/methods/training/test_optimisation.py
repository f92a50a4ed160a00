"""The loop's numbers: what cannot be optimised with is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ctgrid.methods.training.optimisation import Monitor, Optimisation, Validation

FEW: dict[str, Any] = {"steps": 10, "batch_size": 6}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"accumulate": 4}, "batch_size 6 cannot be split into 4 micro-batches; choose a multiple of accumulate"),
        ({"steps": 0}, "steps"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"ema_decay": 1.0}, "ema_decay"),
        ({"clip_norm": 0}, "clip_norm"),
        ({"optimizer": "sgd"}, "adamw"),
        ({"betas": (0.9,)}, "betas"),
        ({"step": 3}, "Extra inputs"),
    ],
)
def test_numbers_that_mean_nothing(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Optimisation(**(FEW | wrong))


def test_batches_are_split_evenly_and_clipping_may_be_left_out() -> None:
    assert Optimisation(**FEW, accumulate=3).accumulate == 3
    assert Optimisation(**FEW, clip_norm=None).clip_norm is None


def test_nothing_is_looked_at_unless_asked_for() -> None:
    assert Validation().every == 0 and Monitor().wandb is None
    for wrong in ({"every": -1}, {"examples": 0}):
        with pytest.raises(ValidationError):
            Validation(**wrong)
