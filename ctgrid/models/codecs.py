"""One small interface over every autoencoder: gray images in [-1, 1] <-> normalised latents.

Behind it stand diffusers' ``AutoencoderKL`` (SD VAE) and ``AutoencoderTiny`` (TAESD), whose three-channel
images hold gray three times, and the embedded :class:`~ctgrid.models.unshuffle_codec.UnshuffleCodec`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ctgrid.errors import CtgridError
from ctgrid.models.unshuffle_codec import DOWNSAMPLE, UnshuffleCodec

SD_SCALING = 0.18215
"""Scaling factor of the SD VAE's latents, used where a codec's own config names none."""


class Codec:
    """An autoencoder with its scaling: ``encode`` gives unit-variance latents, ``decode`` takes them.

    Attributes:
        latent_channels: channels c of a latent.
        downsample: image side over latent side, 8 for every supported codec.
        name: class of the network and where it came from, for records.
    """

    def __init__(self, network: torch.nn.Module, name: str) -> None:
        """Wrap a network; use :func:`load_codec` to read one from a folder."""
        self.network = network.eval().requires_grad_(False)
        self.name = name
        self.config: dict[str, Any] = dict(network.config)  # type: ignore[arg-type]
        self.latent_channels = int(self.config["latent_channels"])
        blocks = self.config.get("block_out_channels") or self.config.get("encoder_block_out_channels")
        self.downsample = 2 ** (len(blocks) - 1) if blocks else DOWNSAMPLE
        self._gray = isinstance(network, UnshuffleCodec)

    def to(self, device: torch.device | str) -> Codec:
        """Move the network to a device and return this codec."""
        self.network.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Encode gray images to the posterior mean, normalised.

        Args:
            images: (B, 1, H, W) in [-1, 1]; H and W multiples of ``downsample``.

        Returns:
            (B, latent_channels, H/8, W/8) float32, about zero mean and unit variance.

        Raises:
            CtgridError: where the shape does not fit.
        """
        if images.ndim != 4 or images.shape[1] != 1:
            raise CtgridError(f"codec.encode: images must be (B, 1, H, W), got {tuple(images.shape)}")
        if images.shape[2] % self.downsample or images.shape[3] % self.downsample:
            raise CtgridError(
                f"codec.encode: height and width must be multiples of {self.downsample}, "
                f"got {images.shape[2]} x {images.shape[3]}; pad or resize the images first"
            )
        network: Any = self.network
        if self._gray:
            mean, std = network.normalisation()
            return (network.posterior(images)[0].float() - mean) / std
        encoded = network.encode(images.repeat(1, 3, 1, 1))
        latent = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latents
        return latent.float() * self._scaling

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """Decode normalised latents (B, c, h, w) to gray images (B, 1, 8h, 8w), float32 in [-1, 1]."""
        if latent.ndim != 4 or latent.shape[1] != self.latent_channels:
            raise CtgridError(
                f"codec.decode: latents must be (B, {self.latent_channels}, h, w), got {tuple(latent.shape)}"
            )
        network: Any = self.network
        if self._gray:
            mean, std = network.normalisation()
            return network.reconstruct(latent * std + mean).float().clamp(-1, 1)
        rgb = network.decode(latent / self._scaling).sample
        return rgb.float().mean(dim=1, keepdim=True).clamp(-1, 1)

    @property
    def _scaling(self) -> float:
        return float(self.config.get("scaling_factor") or SD_SCALING)


def load_codec(folder: str | Path) -> Codec:
    """Read a codec from a local folder in diffusers' layout (``config.json`` beside safetensors weights).

    Args:
        folder: a folder whose ``config.json`` names the class ``UnshuffleCodec``, ``AutoencoderKL`` or
            ``AutoencoderTiny`` under ``_class_name``.

    Raises:
        CtgridError: where the folder, its config or its weights are missing or of another class.
    """
    folder = Path(folder)
    try:
        class_name = json.loads((folder / "config.json").read_text(encoding="utf-8"))["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CtgridError(f"{folder}: no codec here; expected a config.json with a _class_name") from error
    network_class: Any
    if class_name == "UnshuffleCodec":
        network_class = UnshuffleCodec
    elif class_name == "AutoencoderKL":
        from diffusers import AutoencoderKL as network_class
    elif class_name == "AutoencoderTiny":
        from diffusers import AutoencoderTiny as network_class
    else:
        raise CtgridError(
            f"{folder}: codec class {class_name} is not supported; use UnshuffleCodec, AutoencoderKL or AutoencoderTiny"
        )
    try:
        network = network_class.from_pretrained(folder, torch_dtype=torch.float32)
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise CtgridError(f"{folder}: the codec's weights could not be read: {reason}") from error
    return Codec(network, name=f"{class_name}:{folder.name}")
