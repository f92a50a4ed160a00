"""No config makes a network that is larger than its weights: not in depth, nor in width, nor in lists."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.stages.codecs.codecs import load_codec
from ctgrid.stages.models.bundle import read_detail
from ctgrid.stages.weights.bounded import bounded_by
from ctgrid.stages.weights.load import load_dit

HUGE = 10**9


def changed(source: Path, folder: Path, **values: Any) -> Path:
    """Copy a network's folder with some values of its config replaced."""
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))
    return folder


def refused_soon(load: Any, folder: Path) -> None:
    started = time.perf_counter()
    with pytest.raises(CtgridError) as error:
        load(folder)
    assert "\n" not in str(error.value) and str(folder) in str(error.value)
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("name", ["encoder_blocks", "decoder_blocks", "fine_blocks", "encoder_width", "fine_width"])
def test_own_codec(name: str, tiny_model: Path, tmp_path: Path) -> None:
    refused_soon(load_codec, changed(tiny_model / "codec", tmp_path / "c", **{name: HUGE}))


@pytest.mark.parametrize("name", ["blocks", "inner_blocks", "last_blocks", "width", "neighbours"])
def test_detail_network(name: str, detailed_model: Path, tmp_path: Path) -> None:
    refused_soon(read_detail, changed(detailed_model / "detail", tmp_path / "d", **{name: HUGE}))


@pytest.mark.parametrize("name", ["depth", "width", "latent_size", "in_channels", "heads", "cells_per_side"])
def test_transformer(name: str, tiny_model: Path, tmp_path: Path) -> None:
    value = HUGE if name != "latent_size" else 2 * 10**6
    refused_soon(load_dit, changed(tiny_model / "stage1", tmp_path / "s", **{name: value}))


@pytest.mark.parametrize(
    "values",
    [
        {"layers_per_block": HUGE},
        {"block_out_channels": [4] * 100_000, "down_block_types": ["DownEncoderBlock2D"] * 100_000},
        {"block_out_channels": [10**6] * 2},
        {"latent_channels": HUGE},
    ],
)
def test_diffusers_codec(values: dict[str, Any], tmp_path: Path) -> None:
    from diffusers import AutoencoderKL

    kinds = {"down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2}
    AutoencoderKL(block_out_channels=[4, 4], norm_num_groups=2, layers_per_block=1, **kinds).save_pretrained(
        tmp_path / "kl"
    )
    assert load_codec(tmp_path / "kl").latent_channels == 4
    refused_soon(load_codec, changed(tmp_path / "kl", tmp_path / "c", **values))


def test_what_fits_is_built_and_the_bound_goes() -> None:
    layer = torch.nn.Linear(3, 3)
    with bounded_by(layer.state_dict()):
        torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.SiLU())
    with pytest.raises(CtgridError, match="larger network than its 2 tensors"), bounded_by(layer.state_dict()):
        torch.nn.Sequential(*(torch.nn.Linear(1, 1) for _ in range(HUGE)))
    torch.nn.Sequential(*(torch.nn.Linear(1, 1) for _ in range(100)))
