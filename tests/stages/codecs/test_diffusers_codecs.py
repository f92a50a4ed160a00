"""diffusers' autoencoders in the terms of a codec: one scale and one shift, both ways."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from ctgrid.stages.codecs.diffusers_codecs import SD_SCALING, KLAdapter, TinyAdapter

LATENT = torch.arange(8.0).view(1, 2, 2, 2)


class Network:
    """Encodes everything to :data:`LATENT` with variance 9, and decodes to what it was given."""

    def __init__(self, **config: Any) -> None:
        self.config = {"latent_channels": 2, "block_out_channels": [8, 8, 8], **config}
        self.config["encoder_block_out_channels"] = self.config["block_out_channels"]

    def encode(self, images: Tensor) -> Any:
        distribution = SimpleNamespace(mode=lambda: LATENT, var=torch.full_like(LATENT, 9.0))
        return SimpleNamespace(latent_dist=distribution, latents=LATENT)

    def decode(self, latent: Tensor) -> Any:
        return SimpleNamespace(sample=latent)


@pytest.mark.parametrize("kind", [KLAdapter, TinyAdapter])
@pytest.mark.parametrize("config", [{}, {"scaling_factor": 0.5, "shift_factor": 2.0}, {"scaling_factor": None}])
def test_decoding_undoes_the_scale(kind: type[KLAdapter | TinyAdapter], config: dict[str, Any]) -> None:
    """The config's, or that of the SD VAE where it names none; a variance goes by the square."""
    adapter = kind(Network(**config))
    scaling, shift = config.get("scaling_factor") or SD_SCALING, config.get("shift_factor", 0.0)
    mean, variance = adapter.posterior(torch.zeros(1))
    assert torch.allclose(mean, (LATENT - shift) * scaling)
    assert torch.allclose(adapter.decode(mean), LATENT, atol=1e-5)
    wanted = 9 * scaling**2 if kind is KLAdapter else 0.0
    assert torch.allclose(variance, torch.full_like(variance, wanted))


@pytest.mark.parametrize("levels", [1, 3, 4])
def test_the_reduction_follows_the_levels(levels: int) -> None:
    """Every level but the first halves the side."""
    adapter = KLAdapter(Network(block_out_channels=[8] * levels, in_channels=1))
    assert (adapter.downsample, adapter.image_channels, adapter.latent_channels) == (2 ** (levels - 1), 1, 2)
    assert KLAdapter(Network()).image_channels == 3 and adapter.described(torch.zeros(1)) is None
