"""Two processes, replicated or sharded, give the run of one; a checkpoint goes on under any number of them."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

SCRIPT = """
import json, sys
from pathlib import Path
import torch
from torch import nn
from ctgrid.base.draws import normal
from ctgrid.methods.training.config import Optimisation
from ctgrid.methods.training.loop import fit

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.line = nn.Linear(5, 5)
    def forward(self, x):
        return x + torch.tanh(self.line(x))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(1, 5)
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.tail = nn.Linear(5, 1)
        self.register_buffer("offset", torch.ones(3))
    def forward(self, x):
        x = self.head(x)
        for block in self.blocks:
            x = block(x)
        return self.tail(x) + self.offset[0]

class Curve:
    def build(self):
        return Net()
    def example(self, generator):
        x = normal((1,), generator)
        return {"x": x, "y": 2 * x + x * x}
    def loss(self, network, batch):
        return {"loss": (network(batch["x"]) - batch["y"]).square().mean()}
    def save(self, network, folder):
        folder.mkdir()
        torch.save(network.state_dict(), folder / "weights.pt")

settings, options = json.loads(sys.argv[1]), json.loads(sys.argv[3])
fit(Curve(), Optimisation(**settings), 3, Path(sys.argv[2]), **options)
"""
SETTINGS = {"steps": 4, "learning_rate": 0.05, "checkpoint_every": 2, "ema_decay": 0.5}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="tried on Linux only"),
    pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="torch was built without gloo"),
]


Start = Callable[..., list[Any]]


@pytest.fixture
def start(forked: Any) -> Start:
    """Start a run in its processes."""

    def begin(out: Path, processes: int, settings: dict[str, object], **options: object) -> list[Any]:
        out.mkdir(exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
        ranks = [{"WORLD_SIZE": str(processes), "RANK": str(r), "LOCAL_RANK": str(r)} for r in range(processes)]
        arguments = json.dumps({**SETTINGS, **settings}), out, json.dumps(options)
        rooms = [shared | rank for rank in ranks] if processes > 1 else [{}]
        return [forked(SCRIPT, *arguments, **room) for room in rooms]

    return begin


def finish(*runs: list[Any]) -> None:
    """Wait for runs and insist that every process ended well."""
    for process in [process for run in runs for process in run]:
        end = process.wait()
        assert end.returncode == 0, end.stderr


def log(out: Path) -> list[dict[str, float]]:
    """Read a run's log."""
    return [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def same(one: Path, other: Path) -> None:
    """Two runs saw the same examples and ended alike, but for rounding."""
    assert [line["step"] for line in log(other)] == [1, 2, 3, 4]
    for key in ("loss", "grad_norm", "learning_rate"):
        assert [line[key] for line in log(other)] == pytest.approx([line[key] for line in log(one)], rel=1e-4)
    ends = [torch.load(out / "model" / "weights.pt") for out in (one, other)]
    assert ends[0].keys() == ends[1].keys()
    for name, value in ends[0].items():
        assert torch.allclose(value, ends[1][name], atol=1e-5), name


def test_two_processes_replicated_or_sharded_give_the_run_of_one(start: Start, tmp_path: Path) -> None:
    one, two, shards = (tmp_path / name for name in ("one", "two", "shards"))
    finish(
        start(one, 1, {"batch_size": 4}),
        start(two, 2, {"batch_size": 2}),
        start(shards, 2, {"batch_size": 2, "sharding": "fsdp"}),
    )
    same(one, two)
    same(one, shards)


def test_a_checkpoint_goes_on_under_another_number_of_processes(start: Start, tmp_path: Path) -> None:
    whole, parts, other = (tmp_path / name for name in ("whole", "parts", "other"))
    sharded: dict[str, object] = {"batch_size": 2, "sharding": "fsdp"}
    finish(
        start(whole, 1, {"batch_size": 4}),
        start(parts, 2, sharded, stop_at=2),
        start(other, 1, {"batch_size": 4}, stop_at=2),
    )
    finish(start(parts, 1, {"batch_size": 4}, resume=True), start(other, 2, sharded, resume=True))
    same(whole, parts)
    same(whole, other)


def test_sharding_one_process_is_refused(start: Start, tmp_path: Path) -> None:
    (run,) = start(tmp_path / "alone", 1, {"batch_size": 2, "sharding": "fsdp"})
    end = run.wait()
    assert end.returncode == 1
    assert "needs two processes or more" in end.stderr
