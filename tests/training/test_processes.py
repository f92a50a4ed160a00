"""Two processes share a batch and give the run of one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = """
import sys
from pathlib import Path
import torch
from torch import nn
from ctgrid.draws import normal
from ctgrid.training.config import Optimisation
from ctgrid.training.loop import fit

class Line:
    def build(self):
        return nn.Linear(1, 1)
    def example(self, generator):
        x = normal((1,), generator)
        return {"x": x, "y": 2 * x + 1}
    def loss(self, network, batch):
        return {"loss": (network(batch["x"]) - batch["y"]).square().mean()}
    def save(self, network, folder):
        folder.mkdir()
        torch.save(network.state_dict(), folder / "weights.pt")

settings = Optimisation(steps=4, batch_size=int(sys.argv[1]), learning_rate=0.1, checkpoint_every=2)
fit(Line(), settings, 3, Path(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="tried on Linux only")
@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="torch was built without gloo")
def test_two_processes_give_the_run_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same examples and losses but for rounding; one log, one set of checkpoints."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pair = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    started = []
    for rank in "01":
        command = [sys.executable, "-c", SCRIPT, "2", str(tmp_path / "two")]
        variables = os.environ | pair | {"RANK": rank, "LOCAL_RANK": rank}
        started.append(subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True))
    monkeypatch.setattr(sys, "argv", ["-c", "4", str(tmp_path / "one")])
    exec(SCRIPT, {})
    for process in started:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    logs = [
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text(encoding="utf-8").splitlines()]
        for name in ("one", "two")
    ]
    assert [line["step"] for line in logs[1]] == [1, 2, 3, 4]
    for key in ("loss", "grad_norm", "learning_rate"):
        assert [line[key] for line in logs[1]] == pytest.approx([line[key] for line in logs[0]], rel=1e-4)
    ends = [torch.load(tmp_path / name / "model" / "weights.pt") for name in ("one", "two")]
    assert torch.allclose(ends[0]["weight"], ends[1]["weight"], atol=1e-5)
