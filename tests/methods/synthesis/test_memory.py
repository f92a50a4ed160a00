"""A memory is filled with as many grids and slices as fit, measured on one of each."""

from __future__ import annotations

import re
from dataclasses import replace
from mmap import mmap
from pathlib import Path

import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.methods.synthesis import memory
from ctgrid.methods.synthesis.memory import fitting, peak_of, resident
from ctgrid.methods.synthesis.pipeline import SynthesisPipeline
from ctgrid.methods.synthesis.settings import Settings

CPU = torch.device("cpu")
MIB = 2**20


@pytest.fixture(scope="module")
def pipeline(tiny_model: Path) -> SynthesisPipeline:
    """In float32 on the CPU."""
    return SynthesisPipeline.load(str(tiny_model), "cpu", "float32")


def test_the_peak_is_of_what_lives_at_once() -> None:
    """What is gone before the next is made does not count; views take nothing."""
    kept: list[torch.Tensor] = []

    def one_after_the_other() -> None:
        for _ in range(3):
            torch.zeros(MIB, dtype=torch.uint8).view(-1, 2).t()

    def together() -> None:
        for _ in range(3):
            kept.append(torch.zeros(MIB, dtype=torch.uint8))

    assert (peak_of(one_after_the_other, CPU), peak_of(together, CPU)) == (MIB, 3 * MIB)


def test_what_the_process_holds_is_seen() -> None:
    """Of a block of its own: the allocator may hold as much already, freed by others."""
    before = resident(CPU)
    with mmap(-1, 64 * MIB) as block:
        block[::4096] = bytes(64 * MIB // 4096)
        assert 32 * MIB < resident(CPU) - before < 256 * MIB


def test_the_batch_grows_with_the_memory_up_to_what_was_asked_for(
    pipeline: SynthesisPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In proportion to what is free; nothing but the batch changes; too little is refused with what is needed."""
    monkeypatch.setattr(memory, "resident", lambda device: 100 * MIB)
    base = 100 * MIB + memory.RESERVE
    settings = Settings(slices=20, batch_size=10**6, steps=2).resolved(pipeline.bundle)
    with pytest.raises(CtgridError, match=r"max_memory of 100 MiB is too little: .* on cpu; allow more") as refused:
        fitting(pipeline, settings, 100 * MIB)
    assert int(re.findall(r"about (\d+) MiB", str(refused.value))[0]) >= base // MIB
    once, twice = (fitting(pipeline, settings, base + n * 64 * MIB) for n in (1, 2))
    assert once.batch_size > 8 and abs(twice.batch_size - 2 * once.batch_size) <= 1
    assert replace(once, batch_size=10**6) == settings
    few = replace(settings, batch_size=8)
    assert fitting(pipeline, few, base + 64 * MIB) == few, "no more than was asked for"
