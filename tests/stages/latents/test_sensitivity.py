"""What an error in a channel of latents weighs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from ctgrid.base.draws import generator_for
from ctgrid.stages.codecs.codecs import load_codec
from ctgrid.stages.latents.sensitivity import CELLS, channel_weights

GAINS = torch.tensor([1.0, 2.0, 4.0])


def decoder(seen: list[int]) -> Any:
    """A codec whose decoder makes one, two and four times as much of three channels."""

    def decode(latent: Tensor) -> Tensor:
        seen.append(len(latent))
        return (latent * GAINS[:, None, None]).sum(1, keepdim=True)

    return SimpleNamespace(decode=decode, device=torch.device("cpu"))


@pytest.mark.parametrize("cells", [5, 1000])
def test_weights_are_what_the_decoder_makes_of_errors(cells: int) -> None:
    """The squares of its gains, one in the mean; a few cells are looked at however many there are."""
    seen: list[int] = []
    weights = channel_weights(decoder(seen), torch.randn((cells, 3, 4, 4), generator=generator_for(2)).half())
    assert torch.allclose(weights, GAINS**2 / (GAINS**2).mean(), atol=0.006)
    assert set(seen) == {min(cells, CELLS)}


def test_weights_are_the_same_again(tiny_model: Path) -> None:
    """Of a real codec, as a run that goes on needs them; and none is left out."""
    codec = load_codec(str(tiny_model / "codec"))
    cells = torch.randn((40, codec.latent_channels, 4, 4), generator=generator_for(1))
    weights = channel_weights(codec, cells)
    assert torch.equal(weights, channel_weights(codec, cells))
    assert float(weights.mean()) == pytest.approx(1, abs=0.01) and float(weights.min()) > 0
