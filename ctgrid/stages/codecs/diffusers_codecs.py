"""diffusers' autoencoders as codecs: ``AutoencoderKL`` (SD VAE) and ``AutoencoderTiny`` (TAESD), one scale for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.stages.codecs.adapter import Adapter, config_and_weights
from ctgrid.stages.weights.bounded import bounded_by
from ctgrid.stages.weights.weights import read_folder

SD_SCALING = 0.18215
"""Scaling factor of the SD VAE's latents, used where a codec's own config names none."""


class _Scaled(Adapter):
    """Latents shifted and scaled by two numbers of the config; ``blocks`` is where that lists the levels."""

    blocks: str

    def __init__(self, network: Any) -> None:
        config = network.config
        self.network = network
        self.latent_channels = int(config["latent_channels"])
        self.downsample = 2 ** (len(config[self.blocks]) - 1)
        self.image_channels = int(config.get("in_channels", 3))
        self.scaling = float(config.get("scaling_factor") or SD_SCALING)
        self.shift = float(config.get("shift_factor") or 0.0)

    def decode(self, latent: Tensor) -> Tensor:
        """Undo scale and shift, then decode."""
        images: Tensor = self.network.decode(latent / self.scaling + self.shift).sample
        return images.float()

    def identifying(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return all of both."""
        return config_and_weights(self.network)


class KLAdapter(_Scaled):
    """``AutoencoderKL``, which encodes to a normal distribution."""

    blocks = "block_out_channels"

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scale the distribution."""
        posterior = self.network.encode(images).latent_dist
        mean = (posterior.mode().float() - self.shift) * self.scaling
        return mean, posterior.var.float() * self.scaling**2


class TinyAdapter(_Scaled):
    """``AutoencoderTiny``, which encodes to one latent."""

    blocks = "encoder_block_out_channels"

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scale the latent; there is no variance."""
        latent = (self.network.encode(images).latents.float() - self.shift) * self.scaling
        return latent, torch.zeros_like(latent)


def load_kl(folder: Path) -> torch.nn.Module:
    """Read an ``AutoencoderKL``; raises as :func:`load_whole`."""
    from diffusers import AutoencoderKL

    return load_whole(AutoencoderKL, folder)


def load_tiny(folder: Path) -> torch.nn.Module:
    """Read an ``AutoencoderTiny``; raises as :func:`load_whole`."""
    from diffusers import AutoencoderTiny

    return load_whole(AutoencoderTiny, folder)


def load_whole(network_class: Any, folder: Path) -> torch.nn.Module:
    """Read a network in diffusers' layout, float32.

    Raises:
        CtgridError: where the weights are missing, incomplete or unreadable.
    """
    options = {"local_files_only": True, "use_safetensors": any(folder.glob("*.safetensors"))}  # else .bin
    try:
        with bounded_by(read_folder(folder).tensors):
            network, report = network_class.from_pretrained(
                folder, torch_dtype=torch.float32, output_loading_info=True, **options
            )
    except Exception as error:  # diffusers and pickle raise many kinds; all mean that the weights are not readable
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CtgridError(f"{folder}: the codec's weights could not be read: {reason}") from error
    missing = sorted(report["missing_keys"])
    if missing:  # diffusers would leave them at random values
        raise CtgridError(f"{folder}: the weights lack {len(missing)} of the codec's tensors, such as {missing[0]}")
    assert isinstance(network, torch.nn.Module)
    return network
