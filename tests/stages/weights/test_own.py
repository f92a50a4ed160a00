"""Networks of ours are read from their folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ctgrid.base.errors import CtgridError
from ctgrid.stages.codecs.unshuffle_codec import UnshuffleCodec
from ctgrid.stages.weights.own import Uninitialised, load_own, moved


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small codec in 16 bits, as models are packed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network: Any = UnshuffleCodec(4, 8, 1, 8, 1, 8, 1)
    network.half().save_pretrained(tmp_path / "codec")
    return tmp_path / "codec"


def test_no_weights_are_drawn_that_are_read_afterwards() -> None:
    with torch.random.fork_rng(devices=[]):
        before = torch.get_rng_state()
        with Uninitialised():
            layers = [torch.nn.Conv2d(2, 3, 3), torch.nn.Linear(3, 4), torch.nn.LayerNorm(4)]
        assert torch.equal(torch.get_rng_state(), before)
        assert [layer.weight.numel() for layer in layers] == [54, 12, 4]
        torch.nn.Linear(3, 4)
        assert not torch.equal(torch.get_rng_state(), before)


def test_the_weights_are_those_of_the_file(folder: Path) -> None:
    """Names, values, config and mode; float32 from 16 bits."""
    ours = load_own(UnshuffleCodec, folder, "codec")
    wanted = {name: t.float() for name, t in load_file(folder / "diffusion_pytorch_model.safetensors").items()}
    assert ours.state_dict().keys() == wanted.keys()
    assert all(t.dtype == torch.float32 and t.equal(wanted[name]) for name, t in ours.state_dict().items())
    assert not ours.training and dict(ours.config)["decoder_width"] == 8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"coarse_factor": 3, "coarse_width": 4}, "config.json makes no codec: coarse_factor must divide 8, got 3"),
        ({"coarse_width": 4}, "the weights lack 16 of the codec's tensors, such as coarse_encoder"),
        ({"decoder_width": 16}, "tensors do not fit the codec's config.json, such as decoder.0.bias"),
        ({"decoder_blocks": 0}, "the weights lack 8 of the codec's tensors, such as decoder"),
    ],
)
def test_what_does_not_fit_is_named(folder: Path, change: dict[str, Any], words: str) -> None:
    """Config against weights."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(CtgridError, match=words):
        load_own(UnshuffleCodec, folder, "codec")


def test_moving_changes_precision_and_layout(folder: Path) -> None:
    """As the module's own ``to``."""
    network = load_own(UnshuffleCodec, folder, "codec")
    assert moved(network, torch.float64) is network
    assert next(network.parameters()).dtype == torch.float64
    moved(network, memory_format=torch.channels_last)
    assert network.encoder[0].weight.is_contiguous(memory_format=torch.channels_last)  # type: ignore[operator]
