"""Attention of a grid that was sampled: one map for a block and a level, shares beside chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.methods.synthesis.pipeline import SynthesisPipeline
from ctgrid.runs.attention.maps import attend_grid
from ctgrid.runs.attention.settings import AttentionSettings

ASKED = AttentionSettings(steps=1, timestep=(100, 900))


@pytest.fixture(scope="module")
def pipeline(tiny_model: Path) -> SynthesisPipeline:
    """The tiny model, of two blocks."""
    return SynthesisPipeline.load(str(tiny_model), device="cpu", dtype="float32")


def test_every_block_and_level_has_a_map_whose_rows_add_up_to_one(pipeline: SynthesisPipeline) -> None:
    """By default the first, the middle and the last block, each once."""
    seen: list[tuple[str, int, int]] = []
    found = attend_grid(pipeline, ASKED, lambda *call: seen.append(call))
    assert set(found.maps) == {(t, b) for t in (100, 900) for b in (0, 1)} and found.cells_per_side == 4
    for attention in found.maps.values():
        assert attention.shape == (16, 16) and attention.dtype == torch.float32  # one token a cell
        torch.testing.assert_close(attention.sum(-1), torch.ones(16))
    assert found.image.shape[0] in (1, 3) and found.image.abs().max() <= 1.5
    assert [row["timestep"] for row in found.rows] == [100, 100, 900, 900]
    assert seen[-1] == ("attention", 2, 2)


def test_the_seed_decides(pipeline: SynthesisPipeline) -> None:
    one, again, other = (attend_grid(pipeline, replace(ASKED, seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(one.maps[100, 0], again.maps[100, 0]) and torch.equal(one.image, again.image)
    assert not torch.equal(one.image, other.image)


def test_blocks_may_be_counted_from_the_end(pipeline: SynthesisPipeline) -> None:
    last = attend_grid(pipeline, replace(ASKED, block=(-1,), timestep=(100,)))
    (key,) = last.maps
    named = attend_grid(pipeline, replace(ASKED, block=(1,), timestep=(100,)))
    assert torch.equal(last.maps[key], named.maps[100, 1])


def test_cells_in_channels_attend_to_nothing(make_model: Callable[..., Path]) -> None:
    pipeline = SynthesisPipeline.load(str(make_model()), device="cpu", dtype="float32")
    stacked = replace(pipeline.bundle, facts1=replace(pipeline.bundle.facts1, layout="channels"))
    with pytest.raises(CtgridError, match="its cells lie in channels, so none attends to another"):
        attend_grid(replace(pipeline, bundle=stacked), ASKED)
