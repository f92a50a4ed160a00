"""A network with all that changes while it is trained: one step at a time, checked by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ctgrid.methods.training.trainer import Trainer, learning_rate_factor

from .line import Line, settings


def test_learning_rate_warms_up_and_decays() -> None:
    """Linear from ``warmup_start``, constant, linear to zero at the end."""
    chosen = settings(steps=100, learning_rate=1e-2, warmup_start=1e-4, warmup_steps=10, decay_steps=20)
    rates = [1e-2 * learning_rate_factor(step, chosen) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[5] == pytest.approx((1e-4 + 1e-2) / 2)
    assert rates[10:81] == pytest.approx([1e-2] * 71)
    assert rates[90] == pytest.approx(5e-3) and rates[99] == pytest.approx(5e-4) and rates[100] == 0


def test_the_average_is_published_and_training_goes_on_with_the_weights(tmp_path: Path) -> None:
    """Adam's first step moves by the rate; the average follows by 1 - decay."""
    trainer = Trainer(Line(), settings(), 1, tmp_path)
    before = trainer.model.weight.item()
    trainer.step(0)
    trainer.step(1)
    after, average = trainer.model.weight.item(), float(trainer.ema.weights[0])
    assert abs(after - before) == pytest.approx(0.2, rel=0.05)
    assert min(before, after) < average < max(before, after)
    trainer.save(2)
    folder = tmp_path / "checkpoints" / "step_00000002"
    assert torch.load(folder / "model" / "weights.pt")["weight"].item() == average
    assert torch.load(folder / "state.pt")["model"]["weight"].item() == after
    assert trainer.model.weight.item() == after


def test_gradients_are_clipped(tmp_path: Path) -> None:
    """The norm is logged as it was; what Adam sees has ``clip_norm`` at most."""
    trainer = Trainer(Line(), settings(clip_norm=0.01), 1, tmp_path)
    assert trainer.step(0)["grad_norm"] > 0.1
    moments = trainer.optimizer.state_dict()["state"].values()
    seen = torch.cat([moment["exp_avg"].flatten() for moment in moments]) / (1 - 0.9)
    assert float(seen.norm()) == pytest.approx(0.01, rel=1e-3)


def test_gradients_are_left_alone_where_no_norm_is_named(tmp_path: Path) -> None:
    """What Adam sees is the gradient; its norm is logged all the same."""
    trainer = Trainer(Line(), settings(clip_norm=None), 1, tmp_path)
    norm = trainer.step(0)["grad_norm"]
    moments = trainer.optimizer.state_dict()["state"].values()
    seen = torch.cat([moment["exp_avg"].flatten() for moment in moments]) / (1 - 0.9)
    assert norm > 0.1 and float(seen.norm()) == pytest.approx(norm, rel=1e-3)


def test_a_state_that_is_restored_makes_the_same_steps(tmp_path: Path) -> None:
    one = Trainer(Line(), settings(), 1, tmp_path)
    one.step(0)
    one.save(1)
    again = Trainer(Line(), settings(), 1, tmp_path)
    assert again.restore() == 1
    first, second = one.step(1), again.step(1)
    assert {k: v for k, v in first.items() if k != "seconds"} == {k: v for k, v in second.items() if k != "seconds"}
    assert torch.equal(one.model.weight, again.model.weight)


def test_the_error_of_a_run_that_diverged_says_where_to_go_on(tmp_path: Path) -> None:
    trainer = Trainer(Line(), settings(learning_rate=0.2), 1, tmp_path)
    assert "train again with a lower learning rate" in str(trainer.diverged("x")) and "=0.1" in str(
        trainer.diverged("x")
    )
    trainer.step(0)
    trainer.save(1)
    assert "with --resume (from step 1) and a lower" in str(trainer.diverged("x"))
    assert trainer.agree(True) and not trainer.agree(False)
