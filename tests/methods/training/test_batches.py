"""Batches depend on seed, step and process alone, however they are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ctgrid.base.draws import normal
from ctgrid.methods.training.batches import Batches
from ctgrid.methods.training.optimisation import Optimisation


class Numbers:
    """Draw one random number an example; only ``example`` is used here."""

    def example(self, generator: torch.Generator) -> dict[str, Tensor]:
        return {"x": normal((1,), generator)}

    def build(self) -> Any:
        raise NotImplementedError

    def loss(self, network: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        raise NotImplementedError

    def save(self, network: Any, folder: Path) -> None:
        raise NotImplementedError


def batches(size: int, process: int = 0, processes: int = 1, **settings: Any) -> Batches:
    """Batches of a process on the CPU."""
    settings = {"steps": 9, "batch_size": size, **settings}
    return Batches(Numbers(), Optimisation(**settings), 5, process, processes, torch.device("cpu"))


def test_threads_draw_what_is_drawn_in_line() -> None:
    plain = [batches(4)(step, 0)["x"] for step in range(4)]
    with batches(4, loader_threads=3) as ahead:
        for step, wanted in enumerate(plain):
            assert torch.equal(ahead(step, 0)["x"], wanted)
        assert torch.equal(ahead(1, 0)["x"], plain[1]), "another step than the one drawn ahead"


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_out_the_examples_of_one(processes: int) -> None:
    whole = batches(6)(2, 0)["x"]
    parts = [batches(6 // processes, rank, processes)(2, 0)["x"] for rank in range(processes)]
    assert torch.equal(torch.cat(parts), whole)


def test_micro_batches_are_the_batch_in_parts() -> None:
    whole = batches(6)(3, 0)["x"]
    parts = [batches(6, accumulate=3)(3, micro)["x"] for micro in range(3)]
    assert torch.equal(torch.cat(parts), whole)


def test_a_failing_thread_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Numbers, generator: torch.Generator) -> dict[str, Tensor]:
        raise OSError("the disk is gone")

    monkeypatch.setattr(Numbers, "example", broken)
    with batches(2, loader_threads=1) as ahead, pytest.raises(OSError, match="disk is gone"):
        ahead(0, 0)
