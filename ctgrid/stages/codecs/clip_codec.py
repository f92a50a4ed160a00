"""CogVideoX's 3-D autoencoder as a codec of grid images: naive baseline II of the paper (A.12).

All 16 slices of a grid go through it as one clip, and its latent (16 channels, 4 frames) lies in the place of the
grid's latent: four of its 64 numbers at a place in each of 16 cells. A network with ``layout: channels`` then sees the
clip's latent whole, its frames as channels. Cells mean nothing alone: none can be known, and a clip is all there is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.scan.grid import from_grid, to_grid
from ctgrid.stages.codecs.adapter import Adapter, config_and_weights
from ctgrid.stages.codecs.diffusers_codecs import load_whole

CLASS = "AutoencoderKLCogVideoX"
SIDE = 4
"""Slices along a grid's side: the paper has clips of 16 for this baseline."""

FRAMES = SIDE * SIDE


def to_clips(grids: Tensor) -> Tensor:
    """Cut grid images (B, C, 4 s, 4 s) into clips (B, C, 16, s, s)."""
    return rearrange(from_grid(grids, SIDE), "(b t) c h w -> b c t h w", t=FRAMES)


def from_clips(clips: Tensor) -> Tensor:
    """Tile clips (B, C, 16, s, s) into grid images: the inverse of :func:`to_clips`."""
    return to_grid(rearrange(clips, "b c t h w -> (b t) c h w"), SIDE)


def tile_latents(latents: Tensor) -> Tensor:
    """Lay a clip's latents (B, c, t, h, w) out as a grid's (B, c t / 16, 4 h, 4 w), frame after frame in its cells."""
    return to_grid(rearrange(latents, "b c t h w -> b (t c) h w").reshape(-1, *_cell(latents)), SIDE)


def untile_latents(grids: Tensor, frames: int) -> Tensor:
    """Return the latents (B, c, t, h, w) of clips from a grid's: the inverse of :func:`tile_latents`.

    Args:
        grids: (B, c t / 16, 4 h, 4 w).
        frames: t.
    """
    cells = rearrange(from_grid(grids, SIDE), "(b n) c h w -> b (n c) h w", n=FRAMES)
    return rearrange(cells, "b (t c) h w -> b c t h w", t=frames)


def _cell(latents: Tensor) -> tuple[int, int, int]:
    channels, frames, height, width = latents.shape[1:]
    return channels * frames // FRAMES, height, width


class ClipAdapter(Adapter):
    """``AutoencoderKLCogVideoX`` over grid images of 4 x 4 slices."""

    grid_side = SIDE

    def __init__(self, network: Any) -> None:
        config = network.config
        self.network = network
        self.image_channels = int(config["in_channels"])
        self.downsample = 2 ** (len(config["block_out_channels"]) - 1)
        self.frames = FRAMES // int(config["temporal_compression_ratio"])
        self.latent_channels, left = divmod(int(config["latent_channels"]) * self.frames, FRAMES)
        if left or FRAMES % int(config["temporal_compression_ratio"]):
            raise CtgridError(
                f"{CLASS}: {config['latent_channels']} channels in {self.frames} frames do not fill a grid"
            )
        self.scaling = float(config["scaling_factor"])
        self.shift = float(config.get("shift_factor") or 0.0)

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Encode grids (B, C, 4 s, 4 s), scaled.

        Raises:
            CtgridError: where cells are no multiple of the codec's factor.
        """
        if images.shape[-1] % (SIDE * self.downsample) or images.shape[-1] != images.shape[-2]:
            raise CtgridError(
                f"{CLASS} encodes square grids of {SIDE} x {SIDE} slices, of sides that are multiples of "
                f"{SIDE * self.downsample}; got {images.shape[-2]} x {images.shape[-1]}"
            )
        found = self.network.encode(to_clips(images)).latent_dist
        mean = (tile_latents(found.mode().float()) - self.shift) * self.scaling
        return mean, tile_latents(found.var.float()) * self.scaling**2

    def decode(self, latent: Tensor) -> Tensor:
        """Decode to grids."""
        clips = self.network.decode(untile_latents(latent / self.scaling + self.shift, self.frames)).sample
        return from_clips(clips.float())

    def identifying(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return all of both."""
        return config_and_weights(self.network)


def load_clip_codec(folder: Path) -> torch.nn.Module:
    """Read an ``AutoencoderKLCogVideoX``; raises as :func:`load_whole`."""
    from diffusers import AutoencoderKLCogVideoX

    return load_whole(AutoencoderKLCogVideoX, folder)
