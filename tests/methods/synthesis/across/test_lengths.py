"""Every schedule at every length, for K = 2, 4 and 8: exact counts, all slices made, even z."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from ctgrid.methods.synthesis.pipeline import SynthesisPipeline
from ctgrid.methods.synthesis.settings import ScheduleName, Settings
from ctgrid.stages.cells import sample_cells
from ctgrid.stages.codecs.codecs import Codec
from ctgrid.stages.codecs.unshuffle_codec import UnshuffleCodec
from ctgrid.stages.models.bundle import Bundle
from ctgrid.stages.models.facts import StageFacts
from ctgrid.stages.networks.dit import DiT

LENGTHS = [16, 128, 201, 256, 1024]


@cache
def tiny(k: int) -> SynthesisPipeline:
    """Build a model for grids of k x k cells of 2 x 2 latent pixels: slices of 16 k pixels."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(k)
        side = 2 * k
        size = {"latent_size": side, "in_channels": 4, "width": 16, "depth": 1, "heads": 2, "learned_variance": False}
        stage1 = DiT(**size, patch_size=2, cells_per_side=k, absolute_z=True)
        stage2 = DiT(**size, patch_size=2, cells_per_side=1, condition_channels=4)
        for model in (stage1, stage2):
            torch.nn.init.normal_(model.final_layer.linear.weight, std=0.2)
            torch.nn.init.normal_(model.final_layer.adaLN_modulation[1].weight, std=0.2)
        codec = Codec(UnshuffleCodec(4, 4, 1, 4, 1, 4, 1), "tiny")
    facts = StageFacts(prediction="v", size=8 * side, k=k, cell_encoding="cell", conditioning="clean")
    bundle = Bundle("tiny", Path(), codec, stage1.eval(), stage2.eval(), facts, facts)
    return SynthesisPipeline(bundle, torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("k", [2, 4, 8])
@pytest.mark.parametrize("slices", LENGTHS)
@pytest.mark.parametrize(
    ("schedule", "interpolate"), [("hierarchical", False), ("autoregressive", False), ("autoregressive", True)]
)
def test_every_schedule_makes_every_length(k: int, slices: int, schedule: ScheduleName, interpolate: bool) -> None:
    """Exactly the slices, none of them left empty, and the network calls that the plan counts."""
    pipeline = tiny(k)
    rows = max(1, k - 1) if schedule == "autoregressive" else None
    rows = k // 2 if slices > 300 and rows else rows
    settings = Settings(slices, 1, 1, schedule=schedule, control_rows=rows, interpolate=interpolate)
    plan = settings.plan(k)
    cells, spent = sample_cells(pipeline.bundle, plan, slices, seeds=[1, 2], steps=1, batch_size=64)
    assert cells.shape[:2] == (2, slices)
    assert cells.flatten(2).abs().sum(dim=2).min() > 0
    assert spent == 2 * sum(len(windows) for windows in plan) * k * k


@pytest.mark.parametrize(
    ("k", "slices", "schedule"), [(2, 201, "hierarchical"), (8, 128, "autoregressive"), (4, 1024, "auto")]
)
def test_from_noise_to_slices(k: int, slices: int, schedule: ScheduleName) -> None:
    """Both stages, whatever K: as many slices as asked for, of changing content, at even distances."""
    made = tiny(k).generate(slices, 3, steps=1, refine_steps=1, size=16, schedule=schedule, batch_size=64)
    assert made.volume.hu.shape == (slices, 16, 16)
    assert len(np.unique(made.volume.hu.reshape(slices, -1), axis=0)) > 20
    assert made.volume.spacing_mm[0] == pytest.approx(1.5 * 201 / slices)  # the same chest


def test_memory_does_not_grow_with_the_length() -> None:
    """Tensors that live at once while slices are handed out: those of four times the length differ by the cells."""
    from ctgrid.methods.synthesis.memory import peak_of

    pipeline = tiny(4)

    def stream(slices: int) -> int:
        settings = Settings(slices, 1, 1, size=128, schedule="autoregressive", control_rows=1)
        return peak_of(lambda: pipeline.stream([0], settings, lambda *_: None) and None, torch.device("cpu"))

    short, long = stream(64), stream(256)
    latents = 192 * 4 * 2 * 2 * 4
    assert long - short < 4 * latents < 0.1 * 192 * 128 * 128 * 2


def test_a_series_says_how_it_interpolates_only_where_that_matters() -> None:
    """What K = 4 makes is the same either way, so that series of before the choice go on."""
    asked = Settings(30, schedule="autoregressive", interpolate=True)
    assert asked.resolved(tiny(8).bundle).identity()["between"] == "half"
    assert "between" not in asked.resolved(tiny(4).bundle).identity()
    assert [asked.resolved(tiny(k).bundle).control_rows for k in (2, 4, 8)] == [1, 3, 4]
