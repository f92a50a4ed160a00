"""A network with all that changes while it is trained: one step at a time, checked by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import accelerate
import pytest
import torch
from torch import Tensor, nn

from ctgrid.base.errors import CtgridError
from ctgrid.methods.training.loop import fit
from ctgrid.methods.training.trainer import MOST_SKIPPED, Trainer, learning_rate_factor

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


class Half(Line):
    """The line, which notes in which format its network computed."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale, self.formats = scale, set[torch.dtype]()

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        self.formats.add(torch.nn.functional.linear(batch["x"], batch["x"]).dtype)
        return super().loss(network, batch)


@pytest.fixture
def fp16_on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let accelerate do on the CPU what it does on CUDA: compute in float16, with a scaled loss."""

    class OnCPU(accelerate.Accelerator):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            if settings["mixed_precision"] == "fp16":
                self.native_amp, self.scaler = True, torch.amp.GradScaler("cpu", init_scale=1024.0)  # type: ignore[attr-defined]

    monkeypatch.setattr(accelerate, "Accelerator", OnCPU)


@pytest.mark.usefixtures("fp16_on_cpu")
class TestFp16:
    def test_learns_with_gradients_that_are_scaled_back(self, tmp_path: Path) -> None:
        """The norm, what Adam sees and the clipping are those of float32, but for rounding."""
        task = Half()
        trainer = Trainer(task, settings(precision="fp16", clip_norm=0.01, accumulate=2), 1, tmp_path)
        step = trainer.step(0)
        assert task.formats == {torch.float16} and trainer.model.weight.dtype == torch.float32
        plain = Trainer(Line(), settings(clip_norm=0.01, accumulate=2), 1, tmp_path).step(0)
        assert step["grad_norm"] == pytest.approx(plain["grad_norm"], rel=5e-3)
        moments = trainer.optimizer.state_dict()["state"].values()
        seen = torch.cat([moment["exp_avg"].flatten() for moment in moments]) / (1 - 0.9)
        assert float(seen.norm()) == pytest.approx(0.01, rel=1e-2)

    def test_steps_that_overflow_are_left_out_and_the_loss_is_scaled_less(self, tmp_path: Path) -> None:
        """The log says so in JSON that any program reads, and a run that goes on scales alike."""
        fit(Half(scale=500.0), settings(precision="fp16", steps=9, learning_rate=1e-3), 1, tmp_path, stop_at=8)
        lines = (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()
        log = [json.loads(line, parse_constant=pytest.fail) for line in lines]
        skipped = [line.get("skipped") == 1 for line in log]
        assert 3 < sum(skipped) < 8 and skipped[0]
        assert all(("grad_norm" in line) != left_out for line, left_out in zip(log, skipped, strict=True))
        state = torch.load(tmp_path / "checkpoints" / "step_00000008" / "state.pt")
        assert state["scaler"]["scale"] == 1024 / 2 ** sum(skipped)
        again = Trainer(Half(scale=500.0), settings(precision="fp16", steps=9, learning_rate=1e-3), 1, tmp_path)
        again.restore()
        assert again.accelerator.scaler.get_scale() == 1024 / 2 ** sum(skipped)

    def test_a_run_without_a_finite_gradient_ends(self, tmp_path: Path) -> None:
        """It would learn nothing to its end, and look well."""
        trainer = Trainer(Half(scale=1e30), settings(precision="fp16", steps=99), 1, tmp_path)
        before = trainer.model.weight.item()
        for step in range(MOST_SKIPPED - 1):
            assert trainer.step(step)["skipped"] and math.isfinite(trainer.model.weight.item())
        with pytest.raises(CtgridError, match=rf"gradients of the last {MOST_SKIPPED} steps were not finite; train ag"):
            trainer.step(MOST_SKIPPED - 1)
        assert trainer.model.weight.item() == before
