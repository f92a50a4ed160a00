"""Checkpoints: whole or absent, the newest few kept, damage named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ctgrid.base.errors import CtgridError
from ctgrid.methods.training.checkpoints import Checkpoints, trim_log


def save_model(folder: Path) -> None:
    """Write a file that tells whose model it is."""
    folder.mkdir()
    (folder / "from.txt").write_text(folder.parent.name)


def filled(value: float) -> nn.Linear:
    """A network all of whose weights have one value."""
    network = nn.Linear(2, 3)
    for weights in network.parameters():
        nn.init.constant_(weights, value)
    return network


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    """Three saved, two kept."""
    made = Checkpoints(tmp_path / "checkpoints", keep_last=2)
    for step in (5, 10, 200):
        made.save(step, {"model": filled(step).state_dict()}, save_model)
    return made


def test_the_newest_are_kept(checkpoints: Checkpoints) -> None:
    """And nothing else; a step saved again replaces itself."""
    assert checkpoints.steps() == [10, 200]
    checkpoints.save(200, {"model": filled(7).state_dict()}, save_model)
    assert sorted(p.name for p in checkpoints.folder.iterdir()) == ["step_00000010", "step_00000200"]
    network = filled(0)
    assert checkpoints.restore({"model": network}) == 200
    assert (network.weight == 7).all()


def test_nothing_to_restore_is_step_zero(tmp_path: Path) -> None:
    """And changes nothing."""
    network = filled(3)
    assert Checkpoints(tmp_path / "none", 2).restore({"model": network}) == 0
    assert (network.weight == 3).all()


def test_half_a_checkpoint_does_not_count(checkpoints: Checkpoints) -> None:
    """Saving may die at any point: only a complete checkpoint bears its final name."""

    def die(folder: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(300, {"model": filled(1)}, die)
    assert checkpoints.steps() == [10, 200]
    checkpoints.save(300, {"model": filled(1)}, save_model)
    assert checkpoints.steps() == [200, 300]


def spoil(path: Path, damage: str) -> None:
    """Damage a file as disks, copies and kills do."""
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "flipped":  # one bit of a weight, which the mapped file would give without a word
        data[data.index(filled(path_step(path)).weight.detach().numpy().tobytes())] ^= 1
        path.write_bytes(data)
    else:
        path.write_bytes({"cut": bytes(data[:-200]), "empty": b"", "text": b"not a checkpoint\n"}[damage])


def path_step(path: Path) -> int:
    """The step of a checkpoint's file."""
    return int(path.parent.name.removeprefix("step_"))


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "gone", "flipped"])
def test_a_damaged_newest_gives_way_to_an_older_one(damage: str, checkpoints: Checkpoints, tmp_path: Path) -> None:
    spoil(checkpoints.folder / "step_00000200" / "state.pt", damage)
    network = filled(0)
    assert checkpoints.restore({"model": network}) == 10
    assert (network.weight == 10).all()
    assert checkpoints.steps() == [10, 200]  # another process may still be reading
    assert [path.name for path in checkpoints.set_aside(10)] == ["damaged_step_00000200"]
    assert checkpoints.steps() == [10]
    checkpoints.publish(tmp_path / "model")
    assert (tmp_path / "model" / "from.txt").read_text(encoding="utf-8") == ".step_00000010.new"
    spoil(checkpoints.folder / "step_00000010" / "state.pt", damage)
    with pytest.raises(
        CtgridError, match=r"step_00000010/state\.pt is damaged .*remove .*checkpoints to train"
    ) as caught:
        checkpoints.restore({"model": network})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("other", ["other network", "other parts"])
def test_another_run_is_named(other: str, checkpoints: Checkpoints) -> None:
    """With the file and what to do."""
    state: dict[str, Any] = {"model": filled(0)}
    if other == "other network":
        state = {"model": nn.Linear(5, 3)}
    else:
        state |= {"ema": filled(0)}
    with pytest.raises(
        CtgridError, match=r"step_00000200/state\.pt: the checkpoint does not fit.*resume with"
    ) as caught:
        checkpoints.restore(state)
    assert "\n" not in str(caught.value)


def test_published_is_the_newest_model(checkpoints: Checkpoints, tmp_path: Path) -> None:
    """It replaces an older one whole."""
    target = tmp_path / "model"
    target.mkdir()
    (target / "old.txt").touch()
    checkpoints.publish(target)
    assert {p.name: p.read_text(encoding="utf-8") for p in target.iterdir()} == {"from.txt": ".step_00000200.new"}
    assert not list(tmp_path.glob(".model*"))


def test_logs_are_trimmed_to_a_step(tmp_path: Path) -> None:
    """Later lines and lines cut short by a kill go; a missing log stays missing."""
    path = tmp_path / "log.jsonl"
    trim_log(path, 3)
    assert not path.exists()
    lines = [json.dumps({"step": step}) + "\n" for step in (1, 2, 3, 4)]
    path.write_text("".join(lines) + '{"step": 5, "lo')
    trim_log(path, 3)
    assert path.read_text(encoding="utf-8") == "".join(lines[:3])
    path.write_text(lines[0] + "7\n{}\n[]\n")
    trim_log(path, 3)
    assert path.read_text(encoding="utf-8") == lines[0]
    assert list(tmp_path.iterdir()) == [path]


def test_state_is_read_without_running_it(checkpoints: Checkpoints) -> None:
    """A checkpoint is data: pickled code in it is refused, not run."""
    for step in checkpoints.steps():
        torch.save({"step": step, "model": Evil()}, checkpoints.folder / f"step_{step:08d}" / "state.pt")
    with pytest.raises(CtgridError, match="is damaged"):
        checkpoints.restore({"model": filled(0)})


class Evil:
    """Unpickling it would end the tests."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (exec, ("raise SystemExit('unpickled')",))
