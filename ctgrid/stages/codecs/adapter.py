"""What every autoencoder must offer for :class:`ctgrid.stages.codecs.codecs.Codec` to use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor


class Adapter(Protocol):
    """One network in the terms of a codec: images as the network takes them, latents normalised, both float32.

    Attributes:
        latent_channels: channels c of a latent.
        downsample: image side over latent side f.
        image_channels: C of the images that the network itself takes, 1 or 3.
        grid_side: K where images are grids of K x K slices that make one clip; None for a codec of any images.
        coarse_factor: how many times images are shrunk that a second encoder takes; None where there is none.
    """

    latent_channels: int
    downsample: int
    image_channels: int
    coarse_factor: int | None = None
    grid_side: int | None = None

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images (B, C, H, W) in [-1, 1] to mean and variance (B, c, H/f, W/f); zero where it has none."""
        ...

    def decode(self, latent: Tensor) -> Tensor:
        """Decode latents (B, c, h, w) to images (B, C, f h, f w), not clipped."""
        ...

    def identifying(self) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
        """Return what of the config, and which weights, latents depend on."""
        ...

    def described(self, images: Tensor) -> tuple[Tensor, Tensor] | None:
        """Encode images, with what the encoder sees before it goes coarse; None where it shows no such stage."""
        return None

    def encode_coarse(self, coarse: Tensor) -> Tensor:
        """Encode images (B, C, h, w) that are shrunk ``coarse_factor`` times."""
        raise NotImplementedError


@dataclass(frozen=True)
class Family:
    """One class of network.

    Attributes:
        load: reads a network from a folder whose ``config.json`` names the class; raises CtgridError.
        adapter: puts a network in the terms of a codec.
    """

    load: Callable[[Path], torch.nn.Module]
    adapter: Callable[[Any], Adapter]


def config_and_weights(network: Any) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the whole config of a ``ConfigMixin``, but for what diffusers notes in it, and all weights."""
    config = {key: value for key, value in network.config.items() if not key.startswith("_")}
    return config, network.state_dict()
