"""The loop itself, on a task so small that its numbers can be checked by hand."""

from __future__ import annotations

import json
import os
import shutil
import signal
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ctgrid.base.draws import generator_for, normal
from ctgrid.base.errors import CtgridError, CtgridWarning
from ctgrid.base.interrupt import Stopped
from ctgrid.methods.training.loop import fit

from .line import Line, settings


def read_log(out: Path) -> list[dict[str, float]]:
    """One object per line."""
    return [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def test_log_has_one_object_per_step_and_the_loss_falls(tmp_path: Path) -> None:
    """With all terms of the task, averaged, and what the optimizer did."""
    progress: list[tuple[str, int, int]] = []
    summary = fit(Line(), settings(steps=60), 1, tmp_path, progress=lambda *call: progress.append(call))
    log = read_log(tmp_path)
    assert [line["step"] for line in log] == list(range(1, 61))
    assert set(log[0]) == {"step", "loss", "largest", "learning_rate", "grad_norm", "seconds"}
    assert log[-1]["loss"] < 0.05 * log[0]["loss"]
    assert summary["last"] == log[-1] and (summary["first_step"], summary["steps"]) == (0, 60)
    assert progress == [("training", done, 60) for done in range(1, 61)]


def test_examples_follow_from_seed_and_number_alone(tmp_path: Path) -> None:
    """Example n is the same whatever the batch size; none is drawn twice; another seed draws others."""
    one, two, other = Line(), Line(), Line()
    fit(one, settings(steps=4, batch_size=6), 3, tmp_path)
    fit(two, settings(steps=3, batch_size=8), 3, tmp_path)
    fit(other, settings(steps=3, batch_size=8), 4, tmp_path)
    assert one.drawn == two.drawn == [float(normal((1,), generator_for(3, n))) for n in range(24)]
    assert len(set(one.drawn)) == 24
    assert set(one.drawn).isdisjoint(other.drawn)


def test_micro_batches_make_the_same_step(tmp_path: Path) -> None:
    """Two, or four, of them give the losses and weights of the whole batch, but for rounding."""
    logs: list[list[float]] = []
    ends: list[dict[str, Tensor]] = []
    for parts in (1, 2, 4):
        out = tmp_path / str(parts)
        out.mkdir()
        fit(Line(), settings(accumulate=parts), 5, out)
        logs.append([line[key] for line in read_log(out) for key in ("loss", "learning_rate", "grad_norm")])
        ends.append(torch.load(out / "model" / "weights.pt"))
    assert len(logs[0]) == 3 * 8
    for log, end in zip(logs[1:], ends[1:], strict=True):
        assert log == pytest.approx(logs[0], rel=1e-4)
        assert torch.allclose(end["weight"], ends[0]["weight"], atol=1e-5)


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    """With advice, and without a checkpoint of it."""
    task = Line()
    task.scale = float("nan")
    with pytest.raises(
        CtgridError, match=r"the loss is nan at step 1; train again with a lower .* optimisation\.learning_rate=0\.05"
    ):
        fit(task, settings(), 1, tmp_path)
    assert not (tmp_path / "checkpoints").exists() and not (tmp_path / "log.jsonl").exists()


def test_weights_that_are_no_numbers_are_not_kept_and_a_lower_rate_goes_on(tmp_path: Path) -> None:
    """The last good checkpoint stays the newest, and resuming from it follows the new rate."""

    class Sudden(Line):
        def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            terms = super().loss(network, batch)
            if len(self.drawn) > 40:  # from the sixth step on
                with torch.no_grad():
                    network.weight[...] = float("inf")  # type: ignore[operator]
            return terms

    with pytest.raises(CtgridError, match=r"--resume \(from step 4\) and a lower learning rate"):
        fit(Sudden(), settings(checkpoint_every=2), 1, tmp_path)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["step_00000002", "step_00000004"]
    with pytest.warns(CtgridWarning, match=r"the learning rate is 0\.05 from step 4 on; it was 0\.1 until then"):
        fit(Line(), settings(checkpoint_every=2, learning_rate=0.05), 1, tmp_path, resume=True)
    assert [line["learning_rate"] for line in read_log(tmp_path)] == pytest.approx([0.1] * 4 + [0.05] * 4)
    again = tmp_path / "again"
    again.mkdir()
    fit(Line(), settings(), 1, again, stop_at=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CtgridWarning)  # the same rate is no change
        fit(Line(), settings(), 1, again, resume=True)


def test_a_run_folder_that_is_removed_ends_the_run(tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()

    def removing(phase: str, done: int, total: int) -> None:
        if done == 3:
            shutil.rmtree(out)

    with pytest.raises(CtgridError, match="was removed while"):
        fit(Line(), settings(), 1, out, progress=removing)
    assert not out.exists()


def test_a_kill_while_a_checkpoint_replaces_itself_loses_none(tmp_path: Path) -> None:
    fit(Line(), settings(checkpoint_every=4), 1, tmp_path)
    folder = tmp_path / "checkpoints"
    (folder / "step_00000008").rename(folder / ".step_00000008.old")
    (folder / ".step_00000008.new").mkdir()
    (folder / ".partial_00000008").mkdir()
    assert fit(Line(), settings(), 1, tmp_path, resume=True)["first_step"] == 8
    assert sorted(p.name for p in folder.iterdir()) == ["step_00000004", "step_00000008"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_after_the_step_with_a_checkpoint(number: signal.Signals, tmp_path: Path) -> None:
    """What follows equals the run that nobody disturbed."""

    def disturb(phase: str, done: int, total: int) -> None:
        if done == 2:
            os.kill(os.getpid(), number)

    handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    out, calm = tmp_path / "out", tmp_path / "calm"
    out.mkdir()
    calm.mkdir()
    with pytest.raises(Stopped) as stopped:
        fit(Line(), settings(), 1, out, progress=disturb)
    assert stopped.value.code == 128 + number
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert [p.name for p in (out / "checkpoints").iterdir()] == ["step_00000003"]
    assert len(read_log(out)) == 3
    assert fit(Line(), settings(), 1, out, resume=True)["first_step"] == 3
    fit(Line(), settings(), 1, calm)
    losses = [[line["loss"] for line in read_log(folder)] for folder in (out, calm)]
    assert losses[0] == losses[1]


def test_checkpoints_come_as_often_as_asked(tmp_path: Path) -> None:
    """At every third step and at the end; two are kept."""
    saved: list[int] = []

    class Counting(Line):
        def save(self, network: Any, folder: Path) -> None:
            saved.append(int(folder.parent.stem.removeprefix(".step_")))
            super().save(network, folder)

    fit(Counting(), settings(checkpoint_every=3), 1, tmp_path)
    assert saved == [3, 6, 8]
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["step_00000006", "step_00000008"]


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path) -> None:
    """Not its log either."""
    fit(Line(), settings(), 1, tmp_path)
    log, model = (tmp_path / "log.jsonl").read_bytes(), (tmp_path / "model" / "weights.pt").read_bytes()
    assert fit(Line(), settings(), 1, tmp_path, resume=True)["first_step"] == 8
    assert (tmp_path / "log.jsonl").read_bytes() == log
    assert (tmp_path / "model" / "weights.pt").read_bytes() == model


def test_a_recipe_that_compiles_needs_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told before the first step."""
    from torch._inductor import cpp_builder

    def none() -> str:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none)
    with pytest.raises(CtgridError, match=r"needs a C\+\+ compiler .*optimisation.compile"):
        fit(Line(), settings(compile=True), 1, tmp_path)
