"""One small interface over every autoencoder: images in [-1, 1] <-> normalised latents.

Behind it stand the networks of :data:`ctgrid.stages.codecs.families.FAMILIES`, each through its adapter: diffusers'
``AutoencoderKL`` (SD VAE) and ``AutoencoderTiny`` (TAESD), and our own ``UnshuffleCodec``, of which the embedded one
has a single channel. Images are gray, which a network of three channels sees three times;
:meth:`Codec.colour` gives a codec of RGB images.
"""

from __future__ import annotations

import json
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import sha256_of
from ctgrid.stages.codecs.families import adapter_of, load_network
from ctgrid.stages.models.sources import describe_source
from ctgrid.stages.weights.own import moved


class Codec:
    """An autoencoder with its scaling: ``encode`` gives unit-variance latents, ``decode`` takes them.

    Attributes:
        latent_channels: channels c of a latent.
        downsample: image side over latent side, 8 for every supported codec.
        channels: C of the images, 1 for gray or 3 for RGB.
        grid_side: K of the grids that it takes whole, where it is a codec of clips; None for a codec of images.
        name: class of the network and where it came from, for records.
    """

    def __init__(self, network: torch.nn.Module, name: str, channels: Literal[1, 3] = 1) -> None:
        """Wrap a network; use :func:`load_codec` to read one from a folder."""
        self.network = network.eval().requires_grad_(False)
        self.name = name
        self.channels = channels
        self.config: dict[str, Any] = dict(network.config)  # type: ignore[arg-type]
        self._adapter = adapter_of(network)
        self.latent_channels = self._adapter.latent_channels
        self.downsample = self._adapter.downsample
        self.grid_side = self._adapter.grid_side

    def colour(self) -> Codec:
        """Return the same network as a codec of RGB images (B, 3, H, W).

        Raises:
            CtgridError: where the network has one channel.
        """
        if self._adapter.image_channels != 3:
            raise CtgridError(
                f"codec {self.name} is gray, it cannot encode colour; pass --gray, or name one of three channels "
                "such as hub:stabilityai/sd-vae-ft-mse"
            )
        return Codec(self.network, self.name, channels=3)

    def widest(self) -> Codec:
        """Return the same network as a codec of as many channels as it has: RGB, or gray where it has one."""
        return self.colour() if self._adapter.image_channels == 3 else self

    def to(self, device: torch.device | str) -> Codec:
        """Move the network to a device and return this codec."""
        moved(self.network, device)
        return self

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the network's class, config and weights: what latents depend on, whatever file it came from.

        Of our own codec only what the encoder is made of counts, so that latents outlive another decoder.
        """
        config, weights = self._adapter.identifying()
        named = json.dumps([type(self.network).__name__, config], sort_keys=True, default=str)
        state = sha256(named.encode())
        for name, tensor in sorted(weights.items()):
            values = tensor.detach().cpu().contiguous()
            state.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
            state.update(values.view(-1).view(torch.uint8).numpy().data)
        return state.hexdigest()

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Encode images to the posterior mean, normalised.

        Args:
            images: (B, C, H, W) in [-1, 1]; H and W multiples of ``downsample``.

        Returns:
            (B, latent_channels, H/8, W/8) float32, about zero mean and unit variance.

        Raises:
            CtgridError: where the shape does not fit.
        """
        return self.posterior(images)[0]

    @torch.no_grad()
    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images to mean and variance of the posterior, both of normalised latents.

        Args:
            images: (B, C, H, W) in [-1, 1]; H and W multiples of ``downsample``.

        Returns:
            Mean and variance, each (B, latent_channels, H/8, W/8) float32; the variance is zero where a codec
            has none (``AutoencoderTiny``).

        Raises:
            CtgridError: where the shape does not fit.
        """
        if images.ndim != 4 or images.shape[1] != self.channels:
            raise CtgridError(f"codec.encode: images must be (B, {self.channels}, H, W), got {tuple(images.shape)}")
        if images.shape[2] % self.downsample or images.shape[3] % self.downsample:
            raise CtgridError(
                f"codec.encode: height and width must be multiples of {self.downsample}, "
                f"got {images.shape[2]} x {images.shape[3]}; pad or resize the images first"
            )
        if self.channels != self._adapter.image_channels:
            images = images.repeat(1, self._adapter.image_channels, 1, 1)
        return self._adapter.posterior(images)

    @torch.no_grad()
    def described(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images, and show what the encoder sees before it goes coarse.

        Args:
            images: (B, C, H, W) in [-1, 1]; H and W multiples of ``downsample``, C what the network takes.

        Returns:
            The encoder's fine stage (B, w, H/4, W/4), and normalised latents (B, latent_channels, H/8, W/8), both
            float32.

        Raises:
            CtgridError: for a codec that shows none, as all do but ctgrid's own.
        """
        described = self._adapter.described(images)
        if described is None:
            raise CtgridError(f"codec {self.name} shows no fine stage; take one of ctgrid's own, such as embedded")
        return described

    def reads_coarse(self, factor: int) -> bool:
        """Tell whether the codec has an encoder of its own for images shrunk ``factor`` times."""
        return self._adapter.coarse_factor == factor

    @torch.no_grad()
    def encode_coarse(self, coarse: Tensor) -> Tensor:
        """Encode shrunk images to about the latents that they would have if enlarged first, at a sixth of the cost.

        Args:
            coarse: (B, C, h, w) in [-1, 1], shrunk by a factor f that :meth:`reads_coarse` holds for.

        Returns:
            (B, latent_channels, h f/8, w f/8) float32, normalised.

        Raises:
            CtgridError: where the codec has no such encoder.
        """
        if self._adapter.coarse_factor is None:
            raise CtgridError(f"codec {self.name} has no encoder for coarse slices; enlarge them and use encode")
        return self._adapter.encode_coarse(coarse)

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """Decode normalised latents (B, c, h, w) to images (B, C, 8h, 8w), float32 in [-1, 1]."""
        if latent.ndim != 4 or latent.shape[1] != self.latent_channels:
            raise CtgridError(
                f"codec.decode: latents must be (B, {self.latent_channels}, h, w), got {tuple(latent.shape)}"
            )
        images = self._adapter.decode(latent)
        if self.channels != self._adapter.image_channels:
            images = images.mean(dim=1, keepdim=True)
        return images.clamp(-1, 1)


def load_codec(name: str | Path) -> Codec:
    """Read a codec, in float32 and evaluation mode; nothing is downloaded.

    Args:
        name: ``embedded``, ``hub:owner/name[@revision]`` of one fetched before, a folder or a file: diffusers'
            layout (``config.json`` that names a class of :data:`ctgrid.stages.codecs.families.FAMILIES`, beside
            safetensors or ``.bin``), also in ``codec``, ``vae`` or ``model`` inside the folder; TAESD's own pair
            of files; or an SD VAE in a single file.

    Raises:
        CtgridError: where the folder, its config or its weights are missing or of another class.
    """
    from ctgrid.stages.codecs import codec_files

    path = codec_files.codec_path(name)
    pair = codec_files.taesd_pair(path)
    if path.is_file():
        network = codec_files.from_single_file(path)
    elif pair and not (path / "config.json").exists():
        network = codec_files.from_taesd_pair(*pair)
    else:
        network = load_network(path)
    return Codec(network, name=f"{type(network).__name__}:{codec_files.name_of(name, path)}")


def codec_source(name: str | Path) -> dict[str, Any]:
    """Return where a codec comes from and the SHA-256 of its weights, for run records.

    Args:
        name: as :func:`load_codec` takes it.
    """
    from ctgrid.stages.codecs.codec_files import codec_path, codec_weights

    path = codec_path(name)
    hashes = {file.name: sha256_of(file) for file in codec_weights(path)}
    return {**describe_source(name, hashes), "files": hashes}
