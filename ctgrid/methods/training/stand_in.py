"""The encoder of the SD VAE in outline: what a plan must know of a codec that is not on this computer.

diffusers' ``AutoencoderKL`` says the same (a test compares both), and takes three seconds to import.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

from torch import Tensor, nn
from torch.nn import functional

from ctgrid.methods.training.meter import imagined
from ctgrid.stages.codecs.codecs import Codec

WIDTHS = (128, 256, 512, 512)
"""Channels of the levels (Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models, f = 8)."""

LATENT_CHANNELS = 4
GROUPS = 32


class AutoencoderKL(nn.Module):
    """The half that encodes; known to :data:`ctgrid.stages.codecs.families.FAMILIES` by its name."""

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        self.config = {"latent_channels": LATENT_CHANNELS, "block_out_channels": WIDTHS, "in_channels": 3}
        last, c = WIDTHS[-1], 2 * LATENT_CHANNELS
        levels = [
            nn.Sequential(_Residual(before, width), _Residual(width, width), *([_Halve(width)] if level < 3 else []))
            for level, (before, width) in enumerate(zip((WIDTHS[0], *WIDTHS), WIDTHS, strict=False))
        ]
        middle = nn.Sequential(_Residual(last, last), _Attention(last), _Residual(last, last))
        out = nn.GroupNorm(GROUPS, last), nn.SiLU(), nn.Conv2d(last, c, 3, padding=1), nn.Conv2d(c, c, 1)
        self.layers = nn.Sequential(nn.Conv2d(3, WIDTHS[0], 3, padding=1), *levels, middle, *out)

    def encode(self, images: Tensor) -> SimpleNamespace:
        """Return the posterior of images (B, 3, H, W), mean and variance (B, 4, H/8, W/8), as ``latent_dist``."""
        mean, log_variance = self.layers(images).chunk(2, dim=1)
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: mean, var=log_variance.exp()))


class _Residual(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        first = nn.GroupNorm(GROUPS, channels), nn.SiLU(), nn.Conv2d(channels, width, 3, padding=1)
        second = nn.GroupNorm(GROUPS, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)
        self.layers = nn.ModuleList([*first, *second])
        self.skip = nn.Conv2d(channels, width, 1) if channels != width else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        inner = x
        for layer in self.layers:
            inner = layer(inner)
        x = self.skip(x)
        return (x + inner) / 1.0  # diffusers divides too, which takes a copy


class _Halve(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x, (0, 1, 0, 1))
        return self.convolution(x)


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x.flatten(2)).mT
        q, k, v = (layer(tokens)[:, None] for layer in (self.query, self.key, self.value))
        tokens = self.out(functional.scaled_dot_product_attention(q, k, v)[:, 0])
        return x + tokens.mT.reshape(x.shape)


@cache
def stand_in() -> Codec:
    """Return a codec of the SD VAE's sizes whose weights nobody wrote: fresh ones take seconds, and nobody looks.

    It encodes, and cannot decode.
    """
    with imagined():
        network = AutoencoderKL()
    return Codec(network, name="stand-in:AutoencoderKL")
