"""Training of CogVideoX's 3-D autoencoder, small or large, on clips of coarse slices: for naive baseline II."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ctgrid.base.draws import integer, normal
from ctgrid.base.errors import CtgridError
from ctgrid.data.volumes import SliceSource
from ctgrid.methods.training.recipes import CodecRecipe
from ctgrid.stages.codecs.clip_codec import FRAMES, from_clips

STATISTICS_EXAMPLES = 32
"""Clips from which the latents' spread is measured after training."""


class ClipVAE(nn.Module):
    """The autoencoder, called with clips and noise as trainers call a network."""

    def __init__(self, **sizes: Any) -> None:
        """Build an untrained one.

        Args:
            sizes: of ``AutoencoderKLCogVideoX``; a class of four levels shrinks frames 8 times.
        """
        from diffusers import AutoencoderKLCogVideoX

        super().__init__()
        self.vae: Any = AutoencoderKLCogVideoX(**sizes)

    def forward(self, clips: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the reconstruction of clips (B, 3, T, s, s), and mean and log-variance of their latents.

        Args:
            clips: in [-1, 1].
            noise: standard normal, of the latents' shape (B, c, T / 4, s / 8, s / 8).
        """
        found = self.vae.encode(clips).latent_dist
        latent = found.mean + found.std * noise
        return self.vae.decode(latent).sample, found.mean, found.logvar


class ClipCodecTask:
    """Reconstruct clips of 16 neighbouring slices, shrunk to cells: L1 + L2 + a small Kullback-Leibler term."""

    def __init__(self, recipe: CodecRecipe, volumes: Sequence[SliceSource]) -> None:
        """Take the recipe and the volumes it draws clips from.

        Raises:
            CtgridError: where no volume has slices enough for a clip, or a recipe asks for what only slices have.
        """
        if recipe.encoder_of is not None or recipe.video is not None:
            raise CtgridError(
                "codec.clips is for CT volumes, and keeps no encoder: leave codec.encoder_of and video out"
            )
        self.recipe = recipe
        self.volumes = [volume for volume in volumes if len(volume) >= FRAMES]
        if not self.volumes:
            raise CtgridError(f"no volume has the {FRAMES} slices of a clip")

    def build(self) -> nn.Module:
        """Return an untrained :class:`ClipVAE`.

        Raises:
            CtgridError: for sizes that do not fit.
        """
        try:
            return ClipVAE(**self.recipe.network)
        except (TypeError, ValueError) as error:
            raise CtgridError(f"codec.network: no AutoencoderKLCogVideoX has these sizes: {error}") from error

    def example(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw a clip (3, 16, cell, cell), gray three times, mirrored half the time, and noise for its latent."""
        volume = self.volumes[integer(0, len(self.volumes), generator)]
        first = integer(0, len(volume) - FRAMES + 1, generator)
        clip = torch.stack([volume.small(first + i, self.recipe.cell) for i in range(FRAMES)])
        clip = clip.flip(-1) if integer(0, 2, generator) else clip
        side = self.recipe.cell // 8
        channels = self.recipe.network.get("latent_channels", 16)
        return {
            "clip": clip.expand(3, *clip.shape),
            "noise": normal((channels, FRAMES // 4, side, side), generator),
        }

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the terms of the loss."""
        clips = batch["clip"]
        again, mean, log_variance = network(clips, batch["noise"])
        difference = again.float() - clips
        mean, log_variance = mean.float(), log_variance.float()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).mean()
        terms = {"l1": difference.abs().mean(), "mse": difference.square().mean(), "kl": kl}
        return {"loss": terms["l1"] + terms["mse"] + self.recipe.kl_weight * kl, **terms}

    def picture(self, network: Any, generator: torch.Generator, steps: int) -> Tensor:
        """Return a drawn clip as a grid beside its reconstruction (4 cell, 8 cell); ``steps`` is for samplers."""
        clip = self.example(generator)["clip"][None].to(next(network.parameters()).device)
        vae = network.vae
        again = vae.decode(vae.encode(clip).latent_dist.mode()).sample.to(clip.dtype)
        return torch.cat([from_clips(clip)[0, 0], from_clips(again)[0].mean(0)], dim=1)

    def save(self, network: Any, folder: Path) -> None:
        """Measure the latents' mean and spread, put both in the config as diffusers scales them, and save."""
        generator = torch.Generator().manual_seed(0)
        device = next(network.parameters()).device
        with torch.no_grad():
            clips = (self.example(generator)["clip"][None].to(device) for _ in range(STATISTICS_EXAMPLES))
            values = torch.cat([network.vae.encode(clip).latent_dist.mode().float().flatten() for clip in clips])
        shift, spread = float(values.mean()), float(values.std())
        network.vae.register_to_config(shift_factor=round(shift, 6), scaling_factor=round(1 / max(spread, 1e-6), 6))
        network.vae.save_pretrained(folder)
